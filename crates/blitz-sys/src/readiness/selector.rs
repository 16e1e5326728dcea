//! The platform's selector, as mio gives it, with exact waits.

use std::fmt;
use std::io;
use std::time::Duration;
#[cfg(epoll)]
use std::time::Instant;

use mio::Token;
#[cfg(epoll)]
use mio::unix::SourceFd;

use super::bits;
use super::faults;
#[cfg(epoll)]
use super::timerfd::TimerFd;

const WAKE: Token = Token(usize::MAX);
pub(super) const TIMER: Token = Token(usize::MAX - 1);

/// Where one thread waits for the readiness of many sources.
pub struct Selector {
    poll: mio::Poll,
    /// Of waits, and of looks that do not wait: one has room for fewer.
    events: [mio::Events; 2],
    /// The last one was a look.
    looked: bool,
    /// The source of an event that did not happen, in a test.
    spurious: Option<usize>,
    #[cfg(epoll)]
    timer: TimerFd,
}

/// Where any thread registers sources.
#[derive(Debug)]
pub struct Registry(pub(super) mio::Registry);

/// What interrupts the thread that waits.
#[derive(Debug)]
pub struct Notifier(mio::Waker);

impl Selector {
    /// A selector that takes up to `events_max` events from the kernel at once, and up to `look_events_max` where it does not
    /// wait.
    ///
    /// # Errors
    /// The kernel's: no descriptors left.
    pub fn new(
        events_max: usize,
        look_events_max: usize,
    ) -> io::Result<(Self, Registry, Notifier)> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let notifier = mio::Waker::new(poll.registry(), WAKE)?;
        #[cfg(epoll)]
        let timer = TimerFd::new()?;
        #[cfg(epoll)]
        poll.registry().register(
            &mut SourceFd(&timer.as_raw_fd()),
            TIMER,
            mio::Interest::READABLE,
        )?;
        let selector = Self {
            poll,
            events: [events_max, look_events_max].map(|max| mio::Events::with_capacity(max.max(1))),
            looked: false,
            spurious: None,
            #[cfg(epoll)]
            timer,
        };
        Ok((selector, Registry(registry), Notifier(notifier)))
    }

    /// Waits for events, no longer than `limit`; zero does not wait.
    ///
    /// # Errors
    /// `Interrupted` when a signal came, else the kernel's.
    #[cfg(not(epoll))]
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.looked = limit == Some(Duration::ZERO);
        if self.is_made_up()? {
            return Ok(());
        }
        self.poll
            .poll(&mut self.events[usize::from(self.looked)], limit)
    }

    /// Waits for events, no longer than `limit`; zero does not wait.
    ///
    /// # Errors
    /// `Interrupted` when a signal came, else the kernel's.
    #[cfg(epoll)]
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.looked = limit == Some(Duration::ZERO);
        if self.is_made_up()? {
            return Ok(());
        }
        let [events, look_events] = &mut self.events;
        if self.looked {
            return self.poll.poll(look_events, limit);
        }
        // Beyond what the clock can name there is no end.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if let Some(end) = end {
                self.timer.arm(end)?;
            }
            self.poll.poll(events, None)?;
            let mut found = events.iter();
            let is_timer = found.next().is_some_and(|event| event.token() == TIMER);
            if !is_timer || found.next().is_some() {
                return Ok(());
            }
            // Nothing but the timer, which may have been set for the end of an earlier wait.
            self.timer.fired();
            if end.is_some_and(|end| Instant::now() >= end) {
                events.clear();
                return Ok(());
            }
        }
    }

    /// Whether a test made the events of this wait up.
    #[inline]
    fn is_made_up(&mut self) -> io::Result<bool> {
        self.spurious = faults::before_wait()?;
        if self.spurious.is_some() {
            self.events[usize::from(self.looked)].clear();
        }
        Ok(self.spurious.is_some())
    }

    /// The descriptor by which a ring can wait for this selector's events, where there is one.
    pub fn as_raw_fd(&self) -> Option<i32> {
        #[cfg(epoll)]
        return Some(std::os::fd::AsRawFd::as_raw_fd(&self.poll));
        #[cfg(not(epoll))]
        return None;
    }

    /// True if the last wait brought nothing.
    pub fn is_empty(&self) -> bool {
        self.events[usize::from(self.looked)].is_empty() && self.spurious.is_none()
    }

    /// Calls `each` with token and [`bits`] of every event of the last wait that belongs to a source.
    pub fn for_each(&mut self, mut each: impl FnMut(usize, u8)) {
        for event in &self.events[usize::from(self.looked)] {
            match event.token() {
                WAKE => {}
                TIMER => {
                    #[cfg(epoll)]
                    self.timer.fired();
                }
                Token(token) => each(token, bits_of_event(event)),
            }
        }
        if let Some(token) = self.spurious.take() {
            each(token, bits::READABLE | bits::WRITABLE);
        }
    }
}

fn bits_of_event(event: &mio::event::Event) -> u8 {
    let mut ready = 0;
    let mut set = |is: bool, bit: u8| {
        if is {
            ready |= bit;
        }
    };
    set(event.is_readable(), bits::READABLE);
    set(event.is_writable(), bits::WRITABLE);
    set(event.is_priority(), bits::PRIORITY);
    set(event.is_read_closed(), bits::READ_CLOSED);
    if event.is_error() {
        // Both directions are worth a try: one of them fetches the error.
        set(true, bits::ERROR | bits::READABLE | bits::WRITABLE);
        set(event.is_write_closed(), bits::WRITE_FAILED);
    } else {
        set(event.is_write_closed(), bits::WRITE_CLOSED);
    }
    ready
}

pub(super) fn interest_of(interest: u8) -> mio::Interest {
    let mut wanted: Option<mio::Interest> = None;
    let mut add = |one: mio::Interest| {
        wanted = Some(wanted.map_or(one, |all| all | one));
    };
    if interest & bits::READABLE != 0 {
        add(mio::Interest::READABLE);
    }
    if interest & bits::WRITABLE != 0 {
        add(mio::Interest::WRITABLE);
    }
    #[cfg(eventfd)] // the same platforms have urgent data as an event of its own
    if interest & bits::PRIORITY != 0 {
        add(mio::Interest::PRIORITY);
    }
    wanted.unwrap_or(mio::Interest::READABLE)
}

impl Notifier {
    /// Ends the wait, or the next one.
    pub fn notify(&self) {
        // The one failure left is a full counter, and then the wait is ending already.
        let _ = self.0.wake();
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").finish_non_exhaustive()
    }
}
