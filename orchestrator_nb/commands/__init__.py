"""The types of commands and what they share: how arguments come together, registered names."""
