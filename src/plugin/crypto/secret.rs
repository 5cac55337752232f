//! Text and bytes that are nobody's to see.

use std::fmt;
use std::ops::Deref;

use zeroize::{Zeroize, Zeroizing};

/// Something that prints as `***` and is overwritten when it is dropped.
///
/// What it is made from is moved in, not copied. Whoever builds the text or the bytes makes room for all of them first:
/// what a growing vector leaves behind is not overwritten.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes it.
    #[must_use]
    pub fn new(content: T) -> Self {
        Self(Zeroizing::new(content))
    }
}

impl<T: Zeroize> From<Zeroizing<T>> for Secret<T> {
    fn from(content: Zeroizing<T>) -> Self {
        Self(content)
    }
}

impl<T: Zeroize> Deref for Secret<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
