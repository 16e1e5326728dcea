//! What every guard can do: be looked through, and be shown as what it guards.

/// Implements `Deref`, `Debug` and `Display` for a guard whose field `value` leads to what it guards; with `mut`, `DerefMut`.
macro_rules! guard_traits {
    (impl[$($param:tt)*] $guard:ty => $target:ty) => {
        impl<$($param)*> ::std::ops::Deref for $guard {
            type Target = $target;

            #[inline]
            fn deref(&self) -> &$target {
                self.value.get()
            }
        }

        impl<$($param)*> ::std::fmt::Debug for $guard
        where
            $target: ::std::fmt::Debug,
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.value.get().fmt(f)
            }
        }

        impl<$($param)*> ::std::fmt::Display for $guard
        where
            $target: ::std::fmt::Display,
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.value.get().fmt(f)
            }
        }
    };
    (mut impl[$($param:tt)*] $guard:ty => $target:ty) => {
        guard_traits!(impl[$($param)*] $guard => $target);

        impl<$($param)*> ::std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut $target {
                self.value.get_mut()
            }
        }
    };
}

pub(crate) use guard_traits;
