"""A decentralised music recommender: music from the collections of people you know."""
