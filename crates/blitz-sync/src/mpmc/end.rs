//! What both ends of a channel can do, written once.

/// The common part of `$end`, and its weak handle `$weak`. `$side` counts the handles of this end, and the channel is told of one that
/// goes by `$leaves`.
macro_rules! end {
    ($end:ident, $weak:ident, $side:ident, $leaves:ident) => {
        impl<T> $end<T> {
            /// Closes the channel: no value is taken any more, and what was sent before is still received.
            ///
            /// Returns false if it was closed already.
            pub fn close(&self) -> bool {
                self.channel.close()
            }

            /// Waits until the channel is closed: the other side is gone, or one end has called [`close`](Self::close). There may be
            /// values left to be received.
            ///
            /// # Cancel safety
            /// Safe: waiting takes nothing.
            pub async fn closed(&self) {
                $crate::cooperative::cooperative(async {
                    // Made before the look: no end is missed between the two.
                    let closed = self.channel.closed().notified();
                    if !self.is_closed() {
                        closed.await;
                    }
                })
                .await;
            }

            /// Whether the channel is closed. There may be values left to be received.
            pub fn is_closed(&self) -> bool {
                self.channel.queue().is_closed()
            }

            /// Whether both are of one channel.
            pub fn same_channel(&self, other: &Self) -> bool {
                self.channel.is(&other.channel)
            }

            /// A handle that does not keep the channel open.
            #[must_use = "a weak handle that is dropped does nothing"]
            pub fn downgrade(&self) -> $weak<T> {
                $weak {
                    channel: Arc::clone(&self.channel),
                }
            }

            /// How many values are there to be received.
            pub fn len(&self) -> usize {
                self.channel.queue().len()
            }

            /// Whether there is nothing to be received now.
            pub fn is_empty(&self) -> bool {
                self.channel.queue().is_empty()
            }

            /// Whether there is no room now. An unbounded channel always has room.
            pub fn is_full(&self) -> bool {
                self.channel.queue().is_full()
            }

            /// How many values there is room for now; `None` for an unbounded channel.
            pub fn capacity(&self) -> Option<usize> {
                self.max_capacity().map(|max| max - self.len())
            }

            /// How many values the channel holds at most; `None` for an unbounded channel.
            pub fn max_capacity(&self) -> Option<usize> {
                self.channel.queue().bound()
            }

            /// How many senders there are.
            pub fn sender_count(&self) -> usize {
                self.channel.senders.count()
            }

            /// How many receivers there are.
            pub fn receiver_count(&self) -> usize {
                self.channel.receivers.count()
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($end))
                    .field("len", &self.len())
                    .field("max_capacity", &self.max_capacity())
                    .field("closed", &self.is_closed())
                    .finish_non_exhaustive()
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                self.channel.$side.enter();
                Self {
                    channel: Arc::clone(&self.channel),
                }
            }
        }

        impl<T> Drop for $end<T> {
            fn drop(&mut self) {
                self.channel.$leaves();
            }
        }

        #[doc = concat!("A [`", stringify!($end), "`] that does not keep its channel open.")]
        pub struct $weak<T> {
            channel: Arc<Channel<T>>,
        }

        impl<T> $weak<T> {
            /// The handle of which this is one, unless the last of its side is gone.
            pub fn upgrade(&self) -> Option<$end<T>> {
                self.channel.$side.try_enter().then(|| $end {
                    channel: Arc::clone(&self.channel),
                })
            }
        }

        impl<T> Clone for $weak<T> {
            fn clone(&self) -> Self {
                Self {
                    channel: Arc::clone(&self.channel),
                }
            }
        }

        impl<T> fmt::Debug for $weak<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($weak)).finish_non_exhaustive()
            }
        }
    };
}
pub(super) use end;
