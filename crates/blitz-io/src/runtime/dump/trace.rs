//! The stacks of futures that a task waits in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blitz_core::waiting::Leaf;

use crate::context::tasks::Awaited;

/// What one task waits in: a stack of futures for each leaf that its poll came to, several inside of a `join!` or `select!`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    leaves: Arc<Vec<Leaf>>,
    /// Of the runtime's clock, when it was taken.
    now_ns: u64,
}

impl Trace {
    /// Of what the callbacks of a poll by hand have left.
    pub(super) fn of_backtraces(backtraces: Vec<std::backtrace::Backtrace>) -> Self {
        let leaves = backtraces.into_iter().map(|backtrace| Leaf {
            note: None,
            backtrace,
        });
        Self::new(Arc::new(leaves.collect()), 0)
    }

    pub(super) fn new(leaves: Arc<Vec<Leaf>>, now_ns: u64) -> Self {
        Self { leaves, now_ns }
    }

    /// How many leaves the poll came to. 0 if the task was not traced, or came to none.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// What each leaf is, in the order in which they were polled; `None` for those of other crates, which do not say.
    pub fn awaits(&self) -> Vec<Option<Awaited>> {
        let leaves = self.leaves.iter();
        leaves
            .map(|leaf| leaf.note.map(|note| Awaited::new(&note, self.now_ns)))
            .collect()
    }

    /// The stack of each leaf, from the leaf down to the task's own future.
    ///
    /// This reads debug information, which takes its time: some hundred milliseconds for the first in a process. Programs without
    /// it have names and no lines, and stripped ones nothing.
    pub fn resolve_backtraces(&self) -> Vec<Backtrace> {
        let leaves = self.leaves.iter();
        leaves
            .map(|leaf| Backtrace::of_text(&leaf.backtrace.to_string()))
            .collect()
    }
}

impl fmt::Display for Trace {
    /// Each leaf and the stack below it, a frame a line. As slow as [`resolve_backtraces`](Self::resolve_backtraces).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (awaits, backtrace) in self.awaits().iter().zip(self.resolve_backtraces()) {
            match awaits {
                Some(awaits) => writeln!(f, "{awaits}")?,
                None => writeln!(f, "something unknown")?,
            }
            write!(f, "{backtrace}")?;
        }
        Ok(())
    }
}

/// One stack of futures.
#[derive(Clone, Debug)]
pub struct Backtrace {
    frames: Vec<BacktraceFrame>,
}

/// One frame of a stack.
#[derive(Clone, Debug)]
pub struct BacktraceFrame {
    symbols: Vec<BacktraceSymbol>,
}

/// The function of a frame, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacktraceSymbol {
    name: Option<String>,
    file: Option<PathBuf>,
    line: Option<u32>,
    column: Option<u32>,
}

/// Frames of a module: its functions by name; where they were inlined they have no path in their name, so by the file as well, whose
/// folder bears the name of the crate and, from a registry, its version.
struct Module {
    path: &'static str,
    folder: &'static str,
    file: &'static str,
}

/// Frames above these are of the waker that was cloned.
const ABOVE: [Module; 8] = [
    BY_HAND,
    CAPTURE,
    Module {
        path: "blitz_core::budget::",
        folder: "blitz-core",
        file: "src/budget.rs",
    },
    Module {
        path: "blitz_core::stops::",
        folder: "blitz-core",
        file: "src/stops.rs",
    },
    Module {
        path: "blitz_core::waiting::",
        folder: "blitz-core",
        file: "src/waiting.rs",
    },
    Module {
        path: "blitz_exec::task::waker::",
        folder: "blitz-exec",
        file: "src/task/waker.rs",
    },
    Module {
        path: "core::task::wake::",
        folder: "library",
        file: "core/src/task/wake.rs",
    },
    Module {
        path: "std::backtrace",
        folder: "library",
        file: "std/src/backtrace.rs",
    },
];
/// Takes traces by hand: above it is what looks, below it the root.
const BY_HAND: Module = Module {
    path: "blitz_io::runtime::dump::by_hand::",
    folder: "blitz-io",
    file: "src/runtime/dump/by_hand.rs",
};
/// A method of it, by the compiler's newer names, which say the type's module and not the method's.
const CAPTURE: Module = Module {
    path: "<blitz_io::runtime::dump::trace::Trace>::capture",
    ..BY_HAND
};
/// From these on frames are of the runtime, or of whoever polls by hand.
const BELOW: [Module; 3] = [
    BY_HAND,
    CAPTURE,
    Module {
        path: "blitz_exec::task::harness::",
        folder: "blitz-exec",
        file: "src/task/harness.rs",
    },
];

impl Module {
    fn has(&self, symbol: &BacktraceSymbol) -> bool {
        let name = symbol.name.as_deref();
        let file = symbol.file.as_deref().and_then(Path::to_str);
        name.is_some_and(|name| name.contains(self.path))
            || file.is_some_and(|file| file.ends_with(self.file) && file.contains(self.folder))
    }
}

impl Backtrace {
    /// The frames, from the leaf on.
    pub fn frames(&self) -> impl Iterator<Item = &BacktraceFrame> {
        self.frames.iter()
    }

    /// Reads what the standard library prints: it keeps the frames to itself otherwise.
    fn of_text(text: &str) -> Self {
        let mut symbols: Vec<BacktraceSymbol> = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if let Some(place) = line.strip_prefix("at ") {
                if let Some(symbol) = symbols.last_mut() {
                    symbol.set_place(place);
                }
            } else if let Some((number, name)) = line.split_once(": ")
                && number.bytes().all(|digit| digit.is_ascii_digit())
            {
                symbols.push(BacktraceSymbol {
                    name: Some(name.to_owned()).filter(|name| name != "<unknown>"),
                    file: None,
                    line: None,
                    column: None,
                });
            }
        }
        let first = symbols
            .iter()
            .position(|symbol| !ABOVE.iter().any(|module| module.has(symbol)));
        let first = first.unwrap_or(0);
        let end = symbols[first..]
            .iter()
            .position(|symbol| BELOW.iter().any(|module| module.has(symbol)));
        let end = end.map_or(symbols.len(), |end| first + end);
        let frames = symbols.drain(first..end).map(|symbol| BacktraceFrame {
            symbols: vec![symbol],
        });
        Self {
            frames: frames.collect(),
        }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for symbol in self.frames().flat_map(BacktraceFrame::symbols) {
            write!(f, "  {}", symbol.name_demangled().unwrap_or("<unknown>"))?;
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                write!(f, " at {}:{line}", file.display())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl BacktraceFrame {
    /// Its functions: more than one if some were inlined and the platform tells them apart.
    pub fn symbols(&self) -> impl Iterator<Item = &BacktraceSymbol> {
        self.symbols.iter()
    }
}

impl BacktraceSymbol {
    /// `file:line:column`, or less of it.
    fn set_place(&mut self, place: &str) {
        let mut rest = place;
        let mut numbers = Vec::new();
        while let Some((before, number)) = rest.rsplit_once(':')
            && let Ok(number) = number.parse::<u32>()
            && numbers.len() < 2
        {
            numbers.insert(0, number);
            rest = before;
        }
        self.file = Some(PathBuf::from(rest));
        self.line = numbers.first().copied();
        self.column = numbers.get(1).copied();
    }

    /// The function's name as the linker knows it. Not known here: the standard library tells the readable one only.
    pub fn name_raw(&self) -> Option<&[u8]> {
        None
    }

    /// The function's name.
    pub fn name_demangled(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The file.
    pub fn filename(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line.
    pub fn lineno(&self) -> Option<u32> {
        self.line
    }

    /// The column.
    pub fn colno(&self) -> Option<u32> {
        self.column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an optimised program prints them.
    #[test]
    fn inlined_frames_of_waker_and_runtime_are_left_out_too() {
        let text = "   0: <std::backtrace::Backtrace>::force_capture\n             at /rustc/x/library/std/src/backtrace.rs:312:9\n   \
                    1: leave_trace\n             at /r/blitz-core-0.1.0/src/waiting.rs:434\n   \
                    2: trace\n             at ./crates/blitz-exec/src/task/waker.rs:85\n   \
                    3: clone\n             at /rustc/x/library/core/src/task/wake.rs:619\n   \
                    4: poll\n             at ./crates/blitz-io-traits/src/waiting.rs:160\n   \
                    5: {async_fn#0}\n             at ./src/waiting.rs:84\n   \
                    6: {closure#0}\n             at ./crates/blitz-exec/src/task/harness.rs:212\n   \
                    7: main\n";
        assert_eq!(
            Backtrace::of_text(text).to_string(),
            "  poll at ./crates/blitz-io-traits/src/waiting.rs:160\n  {async_fn#0} at ./src/waiting.rs:84\n"
        );
    }

    /// As the newer names have them, in a program that is started in the crate's own folder.
    #[test]
    fn what_captures_is_left_out_by_its_type_too() {
        let text = "   0: <std::backtrace::Backtrace>::force_capture\n   \
                    1: <blitz_io::runtime::dump::trace::Trace>::capture::<demo::main::{closure#0}, ()>::{closure#0}\n             at ./src/runtime/dump/by_hand.rs:133\n   \
                    2: <demo::Leaf as core::future::future::Future>::poll\n   \
                    3: <blitz_io::runtime::dump::trace::Trace>::capture::<demo::main::{closure#0}, ()>\n   \
                    4: main\n";
        assert_eq!(
            Backtrace::of_text(text).to_string(),
            "  <demo::Leaf as core::future::future::Future>::poll\n"
        );
    }

    #[test]
    fn frames_of_waker_and_runtime_are_left_out() {
        let text = "   0: std::backtrace_rs::backtrace::trace\n             at /rustc/x/mod.rs:1:2\n   \
                    1: blitz_core::waiting::leave_trace\n   \
                    2: blitz_exec::task::waker::clone_traced\n   \
                    3: <core::task::wake::Waker as core::clone::Clone>::clone\n   \
                    4: <demo::Leaf as core::future::future::Future>::poll\n             at ./src/leaf.rs:7:9\n   \
                    5: demo::work::{{closure}}\n             at ./src/main.rs:20\n   \
                    6: blitz_exec::task::harness::poll::{{closure}}\n   \
                    7: main\n";
        let trace = Backtrace::of_text(text);
        let symbols: Vec<_> = trace.frames().flat_map(BacktraceFrame::symbols).collect();
        assert_eq!(symbols.len(), 2);
        assert_eq!(
            symbols[0].name_demangled(),
            Some("<demo::Leaf as core::future::future::Future>::poll")
        );
        assert_eq!(symbols[0].filename(), Some(Path::new("./src/leaf.rs")));
        assert_eq!(
            (symbols[0].lineno(), symbols[0].colno()),
            (Some(7), Some(9))
        );
        assert_eq!((symbols[1].lineno(), symbols[1].colno()), (Some(20), None));
        assert_eq!(
            trace.to_string(),
            "  <demo::Leaf as core::future::future::Future>::poll at ./src/leaf.rs:7\n  demo::work::{{closure}} at ./src/main.rs:20\n"
        );
        assert_eq!(Backtrace::of_text("disabled backtrace").frames().count(), 0);
    }
}
