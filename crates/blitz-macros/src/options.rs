//! What stands in the attribute's parentheses.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, Path, Result, Token};

const KNOWN: &str =
    "`flavor`, `worker_threads`, `start_paused`, `unhandled_panic`, `name`, `crate`";
const FLAVORS: &str = "`multi_thread`, `current_thread`, `thread_per_core`, `local`";

/// Which of the macros it is: two under our name, and the same two under tokio's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
    TokioMain,
    TokioTest,
}

impl Kind {
    pub(crate) fn macro_name(self) -> &'static str {
        match self {
            Self::Main => "blitz_io::main",
            Self::Test => "blitz_io::test",
            Self::TokioMain => "tokio::main",
            Self::TokioTest => "tokio::test",
        }
    }

    /// The crate that the code names, unless the option `crate` says another.
    pub(crate) fn face(self) -> &'static str {
        if self.is_tokio() { "tokio" } else { "blitz_io" }
    }

    pub(crate) fn is_test(self) -> bool {
        matches!(self, Self::Test | Self::TokioTest)
    }

    fn is_tokio(self) -> bool {
        matches!(self, Self::TokioMain | Self::TokioTest)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
    ThreadPerCore,
    Local,
}

impl Flavor {
    fn has_workers(self) -> bool {
        matches!(self, Self::MultiThread | Self::ThreadPerCore)
    }
}

/// The options, checked.
pub(crate) struct Options {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) start_paused: Option<bool>,
    /// The variant of `UnhandledPanic`.
    pub(crate) unhandled_panic: Option<Ident>,
    pub(crate) name: Option<String>,
    pub(crate) krate: Option<Path>,
}

impl Options {
    /// What applies without options, and when they are wrong.
    pub(crate) fn default_of(kind: Kind) -> Self {
        Self {
            flavor: if kind.is_test() {
                Flavor::CurrentThread
            } else {
                Flavor::MultiThread
            },
            worker_threads: None,
            start_paused: None,
            unhandled_panic: None,
            name: None,
            krate: None,
        }
    }

    /// Reads `name = value` pairs. The error has one message for each thing that is wrong.
    pub(crate) fn parse(kind: Kind, input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default_of(kind);
        let mut wrong = Wrong(None);
        let mut seen: Vec<String> = Vec::new();
        let mut workers_at = None;
        let mut paused_at = None;
        for pair in Punctuated::<Pair, Token![,]>::parse_terminated(input)? {
            let option = pair.name.unraw().to_string();
            if seen.contains(&option) {
                wrong.add(
                    pair.name.span(),
                    format!("option `{option}` is given twice"),
                );
                continue;
            }
            match pair.value {
                Some(value) => {
                    if option == "worker_threads" {
                        workers_at = Some(value.span());
                    }
                    if option == "start_paused" {
                        paused_at = Some(value.span());
                    }
                    wrong.keep(options.set(kind, &pair.name, &option, &value));
                }
                None => wrong.add(pair.name.span(), without_value(kind, &option)),
            }
            seen.push(option);
        }
        if let Some(span) = workers_at
            && !options.flavor.has_workers()
        {
            let named = match options.flavor {
                Flavor::Local => "local",
                _ => "current_thread",
            };
            let macro_name = kind.macro_name();
            wrong.add(
                span,
                format!(
                    "`worker_threads` needs a flavor with workers, and this one is `{named}`: \
                     write `#[{macro_name}(flavor = \"multi_thread\", worker_threads = …)]`, or leave it out"
                ),
            );
        }
        if let Some(span) = paused_at
            && kind.is_tokio()
            && options.flavor.has_workers()
        {
            let macro_name = kind.macro_name();
            wrong.add(
                span,
                format!(
                    "`start_paused` needs the flavor `current_thread`: tokio's time stands still there alone. Write \
                     `#[{macro_name}(flavor = \"current_thread\", start_paused = …)]`, or use `blitz_io`, where every flavor can"
                ),
            );
        }
        wrong.0.map_or(Ok(options), Err)
    }

    fn set(&mut self, kind: Kind, name: &Ident, option: &str, value: &Expr) -> Result<()> {
        match option {
            "flavor" => self.flavor = flavor(kind, value)?,
            "worker_threads" => {
                let Expr::Lit(ExprLit {
                    lit: Lit::Int(number),
                    ..
                }) = value
                else {
                    return Err(Error::new(
                        value.span(),
                        "`worker_threads` takes a number, as in `worker_threads = 4`",
                    ));
                };
                self.worker_threads = match number.base10_parse::<usize>() {
                    Ok(0) => {
                        return Err(Error::new(value.span(), "`worker_threads` must be above 0"));
                    }
                    Ok(workers) => Some(workers),
                    Err(error) => {
                        return Err(Error::new(
                            value.span(),
                            format!("`worker_threads`: {error}"),
                        ));
                    }
                };
            }
            "start_paused" => {
                let Expr::Lit(ExprLit {
                    lit: Lit::Bool(paused),
                    ..
                }) = value
                else {
                    return Err(Error::new(
                        value.span(),
                        "`start_paused` takes `true` or `false`",
                    ));
                };
                self.start_paused = Some(paused.value);
            }
            "unhandled_panic" => {
                let variant = match string(value, "unhandled_panic")?.as_str() {
                    "ignore" => "Ignore",
                    "shutdown_runtime" => "ShutdownRuntime",
                    other => {
                        let message = format!(
                            "no such `unhandled_panic`: `{other}`; it is one of `ignore`, `shutdown_runtime`"
                        );
                        return Err(Error::new(value.span(), message));
                    }
                };
                self.unhandled_panic = Some(Ident::new(variant, Span::call_site()));
            }
            "name" => {
                let name = string(value, "name")?;
                if name.is_empty() {
                    return Err(Error::new(value.span(), "`name` must not be empty"));
                }
                self.name = Some(name);
            }
            "crate" => self.krate = Some(path(value)?),
            _ => return Err(Error::new(name.span(), unknown(kind, option))),
        }
        Ok(())
    }
}

/// `name = value`, or a name alone, so that the message can say what is missing.
struct Pair {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("expected an option: one of {KNOWN}")));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else if input.is_empty() || input.peek(Token![,]) {
            None
        } else {
            return Err(input.error(format!("expected `=` after option `{name}`")));
        };
        Ok(Self { name, value })
    }
}

/// Messages, one behind the other.
struct Wrong(Option<Error>);

impl Wrong {
    fn add(&mut self, span: Span, message: String) {
        self.keep(Err(Error::new(span, message)));
    }

    fn keep(&mut self, result: Result<()>) {
        match (&mut self.0, result) {
            (_, Ok(())) => {}
            (Some(first), Err(error)) => first.combine(error),
            (none, Err(error)) => *none = Some(error),
        }
    }
}

fn flavor(kind: Kind, value: &Expr) -> Result<Flavor> {
    let hint = match string(value, "flavor")?.as_str() {
        "multi_thread" => return Ok(Flavor::MultiThread),
        "thread_per_core" if kind.is_tokio() => {
            let message = "tokio has no flavor `thread_per_core`: `blitz_io` has it";
            return Err(Error::new(value.span(), message));
        }
        "current_thread" => return Ok(Flavor::CurrentThread),
        "thread_per_core" => return Ok(Flavor::ThreadPerCore),
        "local" => return Ok(Flavor::Local),
        "single_thread" | "basic_scheduler" => "that one is called `current_thread`".to_owned(),
        "threaded_scheduler" => "that one is called `multi_thread`".to_owned(),
        "io_focused" => "that one is called `thread_per_core`".to_owned(),
        other => format!("no such flavor: `{other}`"),
    };
    Err(Error::new(
        value.span(),
        format!("{hint}; the flavors are {FLAVORS}"),
    ))
}

fn unknown(kind: Kind, option: &str) -> String {
    let hint = match option {
        "core_threads" => "; this one is called `worker_threads`",
        "flavour" => "; this one is spelled `flavor`",
        _ => "",
    };
    format!(
        "`#[{}]` has no option `{option}`{hint}; the options are {KNOWN}",
        kind.macro_name()
    )
}

fn without_value(kind: Kind, option: &str) -> String {
    let name = kind.macro_name();
    match option {
        "multi_thread" | "current_thread" | "thread_per_core" | "local" => {
            format!("a flavor is set with `#[{name}(flavor = \"{option}\")]`")
        }
        "flavor" | "worker_threads" | "start_paused" | "unhandled_panic" | "name" | "crate" => {
            format!("option `{option}` needs a value: `{option} = …`")
        }
        other => unknown(kind, other),
    }
}

fn string(value: &Expr, option: &str) -> Result<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(string),
            ..
        }) => Ok(string.value()),
        _ => Err(Error::new(
            value.span(),
            format!("`{option}` takes a string, as in `{option} = \"…\"`"),
        )),
    }
}

fn path(value: &Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() && path.attrs.is_empty() => Ok(path.path.clone()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(string),
            ..
        }) => string.parse_with(Path::parse_mod_style).map_err(|_| {
            Error::new(
                value.span(),
                format!("`crate` takes a path, and {:?} is none", string.value()),
            )
        }),
        _ => Err(Error::new(
            value.span(),
            "`crate` takes a path, as in `crate = \"renamed\"`",
        )),
    }
}
