"""What a language model asks of a chip: weights counted, operators of prefill and decode, and how it is served."""
