"""How far the token estimate is from a real tokenizer, by language and kind of text."""
