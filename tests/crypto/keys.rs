//! Every way in which a key can be written, and every way in which it can be wrong.
