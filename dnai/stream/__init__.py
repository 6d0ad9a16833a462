"""Music between two peers, over Socket.IO."""
