//! Several samples as one figure.

/// The median of a figure.
pub fn median<S>(samples: &[S], of: impl Fn(&S) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The least and the greatest.
pub fn spread<S>(samples: &[S], of: impl Fn(&S) -> f64) -> (f64, f64) {
    let values = samples.iter().map(of);
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
