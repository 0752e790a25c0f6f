"""A session for readers elsewhere: trace viewers, programs, people. Reads events and state; writes no log."""
