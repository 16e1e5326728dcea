//! `join!` and `try_join!`: futures in, one future that polls them in turn out.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, Result, Token, parenthesized};

use crate::select::row;

/// What stands between the parentheses, behind the path of the face in parentheses of its own.
struct Join {
    face: TokenStream,
    biased: bool,
    futures: Punctuated<Expr, Token![,]>,
}

mod word {
    syn::custom_keyword!(biased);
}

impl Parse for Join {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let face;
        parenthesized!(face in input);
        let face = face.parse()?;
        let biased = input.peek(word::biased) && input.peek2(Token![;]);
        if biased {
            input.parse::<word::biased>()?;
            input.parse::<Token![;]>()?;
        }
        let futures = Punctuated::parse_terminated(input)?;
        Ok(Self {
            face,
            biased,
            futures,
        })
    }
}

/// How the joined futures end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// When all have.
    Together,
    /// When all have, or one with an error.
    AtAnError,
}

pub(crate) fn expand(input: TokenStream, ends: Ends) -> TokenStream {
    match syn::parse2::<Join>(input) {
        Ok(join) => join.expand(ends),
        Err(error) => error.into_compile_error(),
    }
}

impl Join {
    fn expand(self, ends: Ends) -> TokenStream {
        let Self {
            face,
            biased,
            futures,
        } = self;
        let count = futures.len();
        if count == 0 {
            return match ends {
                Ends::Together => quote! { () },
                Ends::AtAnError => quote! { ::core::result::Result::Ok(()) },
            };
        }
        let names: Vec<Ident> = (0..count)
            .map(|index| format_ident!("future{index}", span = Span::mixed_site()))
            .collect();
        let exprs = futures.iter();
        let indices: Vec<u32> = (0..count as u32).collect();
        let total = count as u32;
        let ready = match ends {
            Ends::Together => quote! { ::core::task::Poll::Ready((#(#names.as_mut().take(),)*)) },
            Ends::AtAnError => quote! {
                ::core::task::Poll::Ready(::core::result::Result::Ok((#(
                    match #names.as_mut().take() {
                        ::core::result::Result::Ok(value) => value,
                        // Looked at above, as soon as it was there.
                        ::core::result::Result::Err(_) => ::core::unreachable!("an error ends it"),
                    },
                )*)))
            },
        };
        let looks = names.iter().map(|name| match ends {
            Ends::Together => quote! {},
            Ends::AtAnError => quote! {
                if let ::core::option::Option::Some(::core::result::Result::Err(_)) = #name.as_mut().output() {
                    let ::core::result::Result::Err(error) = #name.as_mut().take() else {
                        ::core::unreachable!("it was looked at")
                    };
                    return ::core::task::Poll::Ready(::core::result::Result::Err(error));
                }
            },
        });
        let polls = names.iter().zip(looks).map(|(name, look)| {
            quote! {{
                is_pending |= #name.as_mut().poll_done(cx).is_pending();
                #look
            }}
        });
        let (state, polls) = if biased {
            (quote! {}, quote! { #(#polls)* })
        } else {
            // Another one first each time: one that uses up the budget does not always keep the same others from theirs.
            let state = quote! { let mut first: u32 = 0; };
            let polls = quote! {
                let begin = first;
                first = #face::macros::support::turn(first, 1, #total);
                for step in 0..#total {
                    match #face::macros::support::turn(begin, step, #total) {
                        #(#indices => #polls)*
                        _ => ::core::unreachable!("there are no more futures"),
                    }
                }
            };
            (state, polls)
        };
        let (pinned, split) = match ends {
            Ends::Together => (
                quote! { #(let mut #names = ::core::pin::pin!(#face::macros::support::MaybeDone::new(#exprs));)* },
                quote! {},
            ),
            // One pointer to all of them, not one to each, since a future and its result are no smaller than a word and a half.
            Ends::AtAnError => {
                let row = row(&face, &names);
                (
                    quote! {
                        #(let #names = #face::macros::support::MaybeDone::new(#exprs);)*
                        let mut row = ::core::pin::pin!(#row);
                    },
                    quote! {
                        let rest = row.as_mut();
                        #(let (mut #names, rest) = rest.split();)*
                        let _ = rest;
                    },
                )
            }
        };
        quote! {{
            #pinned
            #state
            ::core::future::poll_fn(move |cx| {
                #[allow(unused_mut)]
                let mut is_pending = false;
                #split
                #polls
                if is_pending {
                    return ::core::task::Poll::Pending;
                }
                #ready
            })
            .await
        }}
    }
}
