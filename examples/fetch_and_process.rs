//! Downloads several documents at once and computes on each as soon as it is there, on threads that are for computing.
//!
//! ```text
//! cargo run --release --example fetch_and_process -- http://127.0.0.1:8080/a.txt http://127.0.0.1:8080/b.txt
//! ```
//!
//! While one document is counted the others go on coming: the workers that move bytes are never kept by what takes time. Prints, for each
//! address in its order, how many words it has and which are the most frequent; ends with 1 if one failed.

use blitz_http::Client;
use blitz_io::task::JoinSet;
use std::collections::HashMap;
use std::process::ExitCode;

#[blitz_io::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        return Err("usage: fetch_and_process URL...".into());
    }
    let client = Client::builder().build()?;
    let mut going = JoinSet::new();
    for (n, url) in urls.iter().enumerate() {
        let (client, url) = (client.clone(), url.clone());
        going.spawn(async move { (n, process(&client, &url).await) });
    }
    let mut lines = vec![None; urls.len()];
    while let Some(done) = going.join_next().await {
        let (n, line) = done?;
        lines[n] = Some(line);
    }
    let mut well = true;
    for (url, line) in urls.iter().zip(lines.into_iter().flatten()) {
        match line {
            Ok(line) => println!("{url}: {line}"),
            Err(error) => {
                well = false;
                println!("{url}: failed: {error}");
            }
        }
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn process(client: &Client, url: &str) -> Result<String, String> {
    let response = client.get(url).send().await;
    let response = response.and_then(|response| response.error_for_status());
    let mut response = response.map_err(|error| error.chain())?;
    let text = response.text().await.map_err(|error| error.chain())?;
    let counted = blitz_io::compute(move || count(&text)).await;
    Ok(counted)
}

/// The words of a text, and the three that come most often.
fn count(text: &str) -> String {
    let mut words: HashMap<String, usize> = HashMap::new();
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    let all: usize = words.values().sum();
    let mut often: Vec<_> = words.into_iter().collect();
    often.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let often: Vec<_> = often
        .iter()
        .take(3)
        .map(|(word, times)| format!("{word} {times}×"))
        .collect();
    format!("{all} words, most often {}", often.join(", "))
}
