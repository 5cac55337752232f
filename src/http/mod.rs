//! The way to a merchant: one request out, one reply or a named failure back.
