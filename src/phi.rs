//! A wrapper for protected health information: no `Debug`, no `Display`, explicit to open.
//!
//! A value inside [`Phi`] cannot reach a log line, a trace, a metric or an error text by accident:
//! formatting it does not compile, and serialising it needs a deliberate [`Phi::open`].
//!
//! ```compile_fail
//! let name = careloop::phi::Phi::new(String::from("Ada Example"));
//! println!("{name}");
//! ```
//!
//! ```compile_fail
//! let name = careloop::phi::Phi::new(String::from("Ada Example"));
//! println!("{name:?}");
//! ```

/// A protected value. Equality and cloning work; printing does not.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Wraps a protected value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place where protected data is used, and is meant to be
    /// found by a search for `.open()`.
    pub const fn open(&self) -> &T {
        &self.0
    }

    /// Gives the value away.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A protected value derived from this one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Phi<U> {
        Phi(change(self.0))
    }
}
