//! Tests of the managed server.

use super::*;

#[tokio::test]
async fn fetches_into_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = tokio::join!(fetch_into(root.path()), fetch_into(root.path()));
    let path = one.unwrap();
    assert_eq!(path, two.unwrap());
    let found = find_in(None, &Places { cache: Some(path.clone()), ..Places::default() }).await;
    let found = found.unwrap();
    assert_eq!(found.source, Source::Cache);
    assert_eq!(found.path, path);
    assert_eq!(found.version.to_string(), FETCHED_VERSION);
}

#[tokio::test]
async fn starts_and_stops() {
    let binary = fetch().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(binary, dir.path().join("nats"), Auth::Open);
    let server = start(&options).await.unwrap();
    assert!(server.url().starts_with("nats://127.0.0.1:"));
    assert!(server.stop().await.unwrap().success());
}
