"""Encoders and decoders of real tensors, bit by bit, in every weight format."""
