//! Merchants' plugins: loading, bounding and calling them.
