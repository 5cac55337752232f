//! Costly signatures: bounded for each call, and no harm to others.
