"""Every error that DN.ai raises, in one tree.

::

    DnaiError
    ├── UsageError               the caller's mistake: an argument that cannot be right
    ├── ConfigurationError       a setting that is missing, unknown or out of range
    ├── AudioError               one sound file
    │   ├── DecodeError          it cannot be read as sound
    │   ├── UnusableAudioError   it is sound, but nothing can be measured on it (silence, too short)
    │   └── ConversionError      it cannot be turned into what browsers play
    ├── ModelError               a model folder, or the table that one is trained on
    ├── CatalogueError           the catalogue of a music folder
    │   └── CatalogueFullError   the disk has no room for it
    ├── ChatMemoryError          what the chatbot was taught cannot be kept or read
    ├── BrokerError              RabbitMQ, named with host and port
    │   ├── BrokerUnreachableError   nobody answers there
    │   ├── BrokerRefusedError       wrong user, password or virtual host
    │   ├── BrokerRightsError        the user may not do what a member must do
    │   └── BrokerClosedError        the connection was lost in the middle
    ├── ProtocolError            a message from the broker that is not what it should be
    └── StreamError              music between two peers
        ├── PeerUnreachableError     the provider cannot be reached
        ├── PeerRefusedError         the provider says no: ticket, session, track or range
        └── PeerBrokeOffError        the provider failed while music was on its way

A message says what happened, with which value, and what to do about it.
"""

from __future__ import annotations


class DnaiError(Exception):
    """The root: anything that DN.ai raises on purpose."""


class UsageError(DnaiError):
    """The caller asked for something that cannot be."""


class ConfigurationError(DnaiError):
    """A setting is missing, unknown, or out of range."""


class AudioError(DnaiError):
    """One sound file cannot be used; the others can."""


class DecodeError(AudioError):
    """A file cannot be read as sound."""


class UnusableAudioError(AudioError):
    """A file is sound, but nothing can be measured on it."""


class ConversionError(AudioError):
    """A file cannot be turned into what browsers play: damaged, too long, or no room on the disk."""


class ModelError(DnaiError):
    """A model folder is incomplete, altered or of another version, or a table cannot be learned from."""


class CatalogueError(DnaiError):
    """The catalogue cannot be read or written."""


class CatalogueFullError(CatalogueError):
    """There is no room on the disk for the catalogue."""


class ChatMemoryError(DnaiError):
    """What the chatbot has learned cannot be read or written."""


class BrokerError(DnaiError):
    """Something is wrong with, or on the way to, RabbitMQ."""


class BrokerUnreachableError(BrokerError):
    """Nothing answers at the broker's address."""


class BrokerRefusedError(BrokerError):
    """The broker does not let this user in."""


class BrokerRightsError(BrokerError):
    """The broker lets this user in, but not do what a member must do."""


class BrokerClosedError(BrokerError):
    """The connection to the broker was lost while it was needed."""


class ProtocolError(DnaiError):
    """A message is not what the protocol says; it is counted and dropped."""


class StreamError(DnaiError):
    """Music between two peers failed."""


class PeerUnreachableError(StreamError):
    """The provider's stream server cannot be reached, or its address is not allowed."""


class PeerRefusedError(StreamError):
    """The provider answered no: ticket, session, track or range."""


class PeerBrokeOffError(StreamError):
    """The provider failed, or broke its own promise, while music was on its way."""
