//! `select!`: branches in, one `match` over the first that is ready out.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Pat, PatIdent, Result, Token, parenthesized};

/// A word of the branches that are out of the race holds so many.
const BRANCHES_MAX: usize = 64;

/// What stands between the braces, behind the path of the face in parentheses.
struct Select {
    face: TokenStream,
    biased: bool,
    branches: Vec<Branch>,
    otherwise: Option<Expr>,
}

/// `pattern = future, if condition => handler`
struct Branch {
    pattern: Pat,
    future: Expr,
    condition: Option<Expr>,
    handler: Expr,
}

mod word {
    syn::custom_keyword!(biased);
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let face;
        parenthesized!(face in input);
        let face = face.parse()?;
        let biased = input.peek(word::biased) && input.peek2(Token![;]);
        if biased {
            input.parse::<word::biased>()?;
            input.parse::<Token![;]>()?;
        }
        let mut branches = Vec::new();
        let mut otherwise = None;
        while !input.is_empty() {
            if input.peek(Token![else]) {
                let word: Token![else] = input.parse()?;
                input.parse::<Token![=>]>()?;
                otherwise = Some(handler(input)?);
                if !input.is_empty() {
                    return Err(Error::new(
                        word.span,
                        "`else` runs when no branch can: it comes last, and once",
                    ));
                }
                break;
            }
            branches.push(input.parse()?);
        }
        if branches.is_empty() && otherwise.is_none() {
            return Err(Error::new(
                Span::call_site(),
                "`select!` needs a branch: `pattern = future => handler`",
            ));
        }
        if let Some(branch) = branches.get(BRANCHES_MAX) {
            let branch: &Branch = branch;
            return Err(Error::new_spanned(
                &branch.pattern,
                format!("`select!` takes up to {BRANCHES_MAX} branches"),
            ));
        }
        Ok(Self {
            face,
            biased,
            branches,
            otherwise,
        })
    }
}

impl Parse for Branch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        if !input.peek(Token![=]) || input.peek(Token![=>]) {
            return Err(no_future(&pattern));
        }
        input.parse::<Token![=]>()?;
        let future = input.parse()?;
        let condition = if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            if !input.peek(Token![if]) {
                return Err(input.error(
                    "expected `if` and a condition, then `=>` and the handler: `pattern = future, if condition => handler`",
                ));
            }
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        if !input.peek(Token![=>]) {
            return Err(if condition.is_none() && input.peek(Token![if]) {
                input.error(
                    "expected a comma before `if`: `pattern = future, if condition => handler`",
                )
            } else {
                input.error("expected `=>` and the handler: `pattern = future => handler`")
            });
        }
        input.parse::<Token![=>]>()?;
        Ok(Self {
            pattern,
            future,
            condition,
            handler: handler(input)?,
        })
    }
}

/// A branch without its future; two of them are those of another `select!`.
fn no_future(pattern: &Pat) -> Error {
    let name = match pattern {
        Pat::Ident(name) => name.ident.to_string(),
        _ => String::new(),
    };
    let message = match &*name {
        "complete" => {
            "`complete` is a branch of `futures::select!`: here it is `else`, which runs when no branch can"
        }
        "default" => {
            "`default` is a branch of `futures::select!`: here it is a last branch after `biased;` that is ready at once, `() = std::future::ready(()) => …`"
        }
        "biased" => "`biased;` comes first, with its semicolon",
        _ => "expected `=` and a future after the pattern: `pattern = future => handler`",
    };
    Error::new_spanned(pattern, message)
}

/// A handler and the comma behind it, which a block need not have.
fn handler(input: ParseStream<'_>) -> Result<Expr> {
    let handler = Expr::parse_with_earlier_boundary_rule(input)?;
    if input.is_empty() || (matches!(handler, Expr::Block(_)) && !input.peek(Token![,])) {
        return Ok(handler);
    }
    if !input.peek(Token![,]) {
        return Err(input.error("expected a comma after the handler, which is no block"));
    }
    input.parse::<Token![,]>()?;
    Ok(handler)
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Select>(input) {
        Ok(select) => select.expand(),
        Err(error) => error.into_compile_error(),
    }
}

impl Select {
    fn expand(self) -> TokenStream {
        let Self {
            face,
            biased,
            branches,
            otherwise,
        } = self;
        let count = branches.len();
        let names = |stem: &str| -> Vec<Ident> {
            (0..count)
                .map(|index| format_ident!("{stem}{index}", span = Span::mixed_site()))
                .collect()
        };
        let (outputs, futures) = (names("Output"), names("future"));
        let indices: Vec<u32> = (0..count as u32).collect();
        let patterns: Vec<_> = branches.iter().map(|branch| &branch.pattern).collect();
        let shapes: Vec<_> = branches
            .iter()
            .map(|branch| shape(&branch.pattern))
            .collect();
        let exprs: Vec<_> = branches.iter().map(|branch| &branch.future).collect();
        let handlers: Vec<_> = branches.iter().map(|branch| &branch.handler).collect();
        let out: Vec<_> = branches
            .iter()
            .enumerate()
            .map(|(index, branch)| {
                branch.condition.as_ref().map(|condition| {
                    quote! { if !(#condition) { out |= 1 << #index; } }
                })
            })
            .collect();
        let start = if biased {
            quote! { 0 }
        } else {
            let count = count as u32;
            quote! { #face::macros::support::random_below(#count) }
        };
        let nobody = match otherwise {
            Some(handler) => quote! { #handler },
            None => quote! {
                ::core::panic!("all branches of `select!` are disabled and there is no `else`")
            },
        };
        if count == 0 {
            return nobody;
        }
        let total = count as u32;
        let row = row(&face, &futures);
        // Everything with a name of ours is out of the user's sight by its span (mixed_site).
        quote! {{
            #[doc(hidden)]
            enum Selected<#(#outputs),*> {
                #(#outputs(#outputs),)*
                Nobody,
            }
            // A pattern may borrow from it.
            #[allow(unused_mut)]
            let mut selected = {
                // The branches that are out of the race: by their condition, or since what came did not fit their pattern.
                #[allow(unused_mut)]
                let mut out = 0u64;
                #(#out)*
                // A `let` of its own: what an expression borrows of a temporary lives as long as the block.
                #(
                    let #futures = #exprs;
                    let #futures = ::core::future::IntoFuture::into_future(#futures);
                )*
                // One pointer to all of them, not one to each.
                let mut row = ::core::pin::pin!(#row);
                ::core::future::poll_fn(move |cx| {
                    if #face::macros::support::has_no_budget(cx) {
                        return ::core::task::Poll::Pending;
                    }
                    #[allow(unused_mut)]
                    let mut is_pending = false;
                    let start: u32 = #start;
                    let rest = row.as_mut();
                    #(let (mut #futures, rest) = rest.split();)*
                    let _ = rest;
                    for step in 0..#total {
                        match #face::macros::support::turn(start, step, #total) {
                            #(#indices => {
                                if out & (1 << #indices) != 0 {
                                    continue;
                                }
                                let output = match ::core::future::Future::poll(#futures.as_mut(), cx) {
                                    ::core::task::Poll::Ready(output) => output,
                                    ::core::task::Poll::Pending => {
                                        is_pending = true;
                                        continue;
                                    }
                                };
                                out |= 1 << #indices;
                                #[allow(unused_variables, unreachable_patterns)]
                                match output {
                                    #shapes => {}
                                    _ => continue,
                                }
                                return ::core::task::Poll::Ready(Selected::#outputs(output));
                            })*
                            _ => ::core::unreachable!("there are no more branches"),
                        }
                    }
                    if is_pending {
                        ::core::task::Poll::Pending
                    } else {
                        ::core::task::Poll::Ready(Selected::Nobody)
                    }
                })
                .await
            };
            // Every future is gone here.
            #[allow(unreachable_patterns)]
            match selected {
                #(Selected::#outputs(#patterns) => #handlers,)*
                Selected::Nobody => #nobody,
                _ => ::core::unreachable!("what came fitted its pattern"),
            }
        }}
    }
}

/// What `names` stand for, in a row.
pub(crate) fn row(face: &TokenStream, names: &[Ident]) -> TokenStream {
    names.iter().rev().fold(quote! { () }, |rest, name| {
        quote! { #face::macros::support::Row::new(#name, #rest) }
    })
}

/// The pattern without its bindings, so that asking whether a value fits moves nothing out of it.
fn shape(pattern: &Pat) -> TokenStream {
    match pattern {
        Pat::Ident(PatIdent {
            subpat: Some((_, inside)),
            ..
        }) => shape(inside),
        // A name that begins small is a binding; one that does not is a constant or a variant, such as `None`.
        Pat::Ident(name) if begins_small(&name.ident) => quote! { _ },
        Pat::Or(or) => {
            let cases = or.cases.iter().map(shape);
            quote! { #(#cases)|* }
        }
        Pat::Paren(inside) => shape(&inside.pat),
        Pat::Reference(inside) => {
            let (mutability, inside) = (&inside.mutability, shape(&inside.pat));
            quote! { &#mutability #inside }
        }
        Pat::Slice(slice) => {
            let parts = slice.elems.iter().map(shape);
            quote! { [#(#parts),*] }
        }
        Pat::Tuple(tuple) => {
            let parts = tuple.elems.iter().map(shape);
            quote! { (#(#parts,)*) }
        }
        Pat::TupleStruct(tuple) => {
            let (path, parts) = (&tuple.path, tuple.elems.iter().map(shape));
            quote! { #path(#(#parts),*) }
        }
        Pat::Struct(whole) => {
            let (path, rest) = (&whole.path, &whole.rest);
            let fields = whole.fields.iter().map(|field| {
                let (member, inside) = (&field.member, shape(&field.pat));
                quote! { #member: #inside }
            });
            quote! { #path { #(#fields,)* #rest } }
        }
        other => quote! { #other },
    }
}

fn begins_small(name: &Ident) -> bool {
    let name = name.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    name.starts_with(|first: char| first.is_lowercase() || first == '_')
}

#[cfg(test)]
#[path = "tests/branches.rs"]
mod tests;
