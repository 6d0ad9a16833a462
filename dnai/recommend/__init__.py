"""Vectors in, decisions out: nothing here reads, writes, sleeps or looks at a clock."""
