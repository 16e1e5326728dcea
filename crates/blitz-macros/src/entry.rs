//! The async function in, the plain one out.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{AttrStyle, Attribute, Error, Ident, Result, ReturnType, Signature, Visibility, token};

use crate::options::{Flavor, Kind, Options};

/// A function whose body stays unparsed: the compiler reports what is wrong inside.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    brace: token::Brace,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let inner;
        let brace = syn::braced!(inner in input);
        // `#![…]` holds for the whole function, and may not stand in the block that the body becomes.
        for mut attr in inner.call(Attribute::parse_inner)? {
            attr.style = AttrStyle::Outer;
            attrs.push(attr);
        }
        let body = inner.parse()?;
        Ok(Self {
            attrs,
            vis,
            sig,
            brace,
            body,
        })
    }
}

/// Whatever is wrong, the function is there afterwards, so that the only messages are those about the fault.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote! { #item #error };
        }
    };
    let options = (|input: ParseStream<'_>| Options::parse(kind, input)).parse2(options);
    let wrong = check(kind, &function);
    let (options, error) = match (options, wrong) {
        (Ok(options), None) => (options, None),
        (Ok(options), Some(error)) => (options, Some(error)),
        (Err(error), None) => (Options::default_of(kind), Some(error)),
        (Err(mut error), Some(more)) => {
            error.combine(more);
            (Options::default_of(kind), Some(error))
        }
    };
    // A function that cannot become plain stays as it is.
    let keeps_shape = !function.sig.inputs.is_empty() && error.is_some();
    let output = if keeps_shape {
        item
    } else {
        plain(kind, function, &options)
    };
    let error = error.map(Error::into_compile_error);
    quote! { #output #error }
}

/// What is wrong with the function itself.
fn check(kind: Kind, function: &Function) -> Option<Error> {
    let mut wrong: Option<Error> = None;
    let mut add = |tokens: &dyn ToTokens, message: String| {
        let error = Error::new_spanned(tokens.to_token_stream(), message);
        match &mut wrong {
            Some(first) => first.combine(error),
            None => wrong = Some(error),
        }
    };
    let (sig, name) = (&function.sig, kind.macro_name());
    if sig.asyncness.is_none() {
        add(
            &sig.fn_token,
            format!(
                "`#[{name}]` needs an async function: write `async fn {}`",
                sig.ident
            ),
        );
    }
    if !sig.inputs.is_empty() {
        if kind.is_test() {
            add(
                &sig.inputs,
                format!("a test has no arguments: nobody calls `{}`", sig.ident),
            );
        } else if sig.ident == "main" {
            add(
                &sig.inputs,
                "`main` has no arguments: read `std::env::args()`".to_owned(),
            );
        }
    }
    let twin = function.attrs.iter().find(|attr| is_test(attr));
    if let Some(attr) = twin
        && kind.is_test()
    {
        add(
            attr,
            format!(
                "this would run the test twice: `#[{name}]` stands for `#[test]`, so remove one of them"
            ),
        );
    }
    wrong
}

/// True for `#[test]` under any of its paths, and for the runtimes' own.
fn is_test(attr: &Attribute) -> bool {
    let segments = &attr.path().segments;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return false;
    };
    let known = ["test", "core", "std", "blitz_io", "tokio"];
    last.ident == "test" && known.iter().any(|known| first.ident == known)
}

fn plain(kind: Kind, function: Function, options: &Options) -> TokenStream {
    let Function {
        attrs,
        vis,
        mut sig,
        brace,
        body,
    } = function;
    sig.asyncness = None;
    // A wrong type is reported where the value is made: at the last statement.
    let (last, end) = last_statement(&body).unwrap_or((brace.span.close(), brace.span.close()));
    let krate = match &options.krate {
        Some(path) => path.to_token_stream(),
        None => Ident::new(kind.face(), last).to_token_stream(),
    };
    let runtime = builder(&krate, options, last);
    let future = Ident::new("body", Span::mixed_site());
    let call = quote_spanned! {end=> .expect("the runtime could not be built").block_on(#future) };
    let run = quote_spanned! {last=>
        #[allow(clippy::expect_used, clippy::diverging_sub_expression, clippy::needless_return)]
        {
            return #runtime #call;
        }
    };
    let (header, pinned) = match kind.is_test() {
        false => (None, None),
        true => {
            let output = match &sig.output {
                ReturnType::Default => quote! { () },
                ReturnType::Type(_, ty) => ty.to_token_stream(),
            };
            // One type of future for all tests: `block_on` is compiled once.
            let pinned = quote_spanned! {last=>
                let #future: ::core::pin::Pin<&mut dyn ::core::future::Future<Output = #output>> = ::core::pin::pin!(#future);
            };
            (Some(quote! { #[::core::prelude::v1::test] }), Some(pinned))
        }
    };
    let block = quote_spanned! {brace.span.join()=>
        {
            let #future = async { #body };
            #pinned
            #run
        }
    };
    quote! { #header #(#attrs)* #vis #sig #block }
}

/// The expression that builds the runtime: an `io::Result`. All of it at `span`, which is where the compiler points to.
fn builder(krate: &TokenStream, options: &Options, span: Span) -> TokenStream {
    let new = match options.flavor {
        Flavor::MultiThread => quote_spanned! {span=> new_multi_thread },
        Flavor::CurrentThread | Flavor::Local => quote_spanned! {span=> new_current_thread },
        Flavor::ThreadPerCore => quote_spanned! {span=> new_thread_per_core },
    };
    let workers = options
        .worker_threads
        .map(|n| quote_spanned! {span=> .worker_threads(#n) });
    let paused = options
        .start_paused
        .map(|on| quote_spanned! {span=> .start_paused(#on) });
    let name = options
        .name
        .as_ref()
        .map(|name| quote_spanned! {span=> .name(#name) });
    let panic = options
        .unhandled_panic
        .as_ref()
        .map(|variant| quote_spanned! {span=> .unhandled_panic(#krate::runtime::UnhandledPanic::#variant) });
    let build = match options.flavor {
        Flavor::Local => {
            quote_spanned! {span=> .build_local(::core::default::Default::default()) }
        }
        _ => quote_spanned! {span=> .build() },
    };
    quote_spanned! {span=>
        #krate::runtime::Builder::#new() #workers #paused #name #panic .enable_all() #build
    }
}

/// The first and the last token of the last statement.
fn last_statement(body: &TokenStream) -> Option<(Span, Span)> {
    let mut ends: Option<(Span, Span)> = None;
    let mut fresh = true;
    for tree in body.clone() {
        ends = match ends {
            Some((start, _)) if !fresh => Some((start, tree.span())),
            _ => Some((tree.span(), tree.span())),
        };
        fresh = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == ';');
    }
    ends
}

#[cfg(test)]
#[path = "tests/messages.rs"]
mod tests;
