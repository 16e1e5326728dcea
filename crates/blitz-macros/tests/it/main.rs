//! The macros where the crate goes by another name, and what they keep of the function that they are given.

use std::time::Duration;

#[renamed::test(crate = "renamed")]
async fn a_test_under_another_name() {
    renamed::task::yield_now().await;
}

#[renamed::test(crate = renamed, flavor = "multi_thread", worker_threads = 1, name = "named")]
async fn on_workers() -> Result<(), std::io::Error> {
    let answer = renamed::spawn(async { 42 }).await?;
    assert_eq!(answer, 42);
    Ok(())
}

#[renamed::test(crate = "renamed", start_paused = true, unhandled_panic = "ignore")]
async fn paused_from_the_start() {
    let start = renamed::time::Instant::now();
    renamed::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
}

#[renamed::test(crate = "renamed", flavor = "local")]
async fn a_local_runtime_spawns_what_is_not_send() {
    let shared = std::rc::Rc::new(7);
    let task = renamed::task::spawn_local(async move { *shared });
    assert_eq!(task.await.unwrap(), 7);
}

#[renamed::test(crate = "renamed", flavor = "thread_per_core", worker_threads = 2)]
async fn on_a_core_of_its_own() {
    assert_eq!(renamed::spawn(async { 1 }).await.unwrap(), 1);
}

#[renamed::test(crate = "renamed")]
#[should_panic(expected = "told you")]
async fn other_attributes_stay() {
    panic!("told you");
}

#[renamed::main(crate = "renamed", flavor = "current_thread")]
async fn generic<'a, T>(value: &'a T, times: usize) -> Vec<T>
where
    T: Clone + 'a,
{
    #![allow(clippy::vec_init_then_push, reason = "an inner attribute must survive")]
    let mut all = Vec::new();
    for _ in 0..times {
        renamed::task::yield_now().await;
        all.push(value.clone());
    }
    all
}

#[renamed::main(crate = "renamed", flavor = "current_thread")]
async fn impl_trait(upto: u32) -> impl Iterator<Item = u32> {
    0..upto
}

#[test]
fn functions_keep_arguments_generics_and_return_types() {
    assert_eq!(generic(&"x", 2), ["x", "x"]);
    assert_eq!(impl_trait(3).sum::<u32>(), 3);
}
