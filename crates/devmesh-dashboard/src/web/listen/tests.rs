//! Ports that are taken.

use super::*;

#[tokio::test]
async fn a_port_that_was_asked_for_and_is_taken_is_an_error_that_says_so() {
    let first = bind(Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let at = first.local_addr().unwrap();
    let error = bind(Some(at)).await.unwrap_err();
    assert!(matches!(error, Error::Taken { at: taken } if taken == at));
    assert!(error.to_string().contains("--listen"), "{error}");
}

#[tokio::test]
async fn without_a_wish_the_next_free_port_is_taken() {
    let first = bind(None).await.unwrap();
    let second = bind(None).await.unwrap();
    let ports = [&first, &second].map(|listener| listener.local_addr().unwrap().port());
    assert!(ports[0] >= PORT && ports[1] > ports[0], "{ports:?}");
    assert!(first.local_addr().unwrap().ip().is_loopback());
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error() {
    let error = bind(Some("192.0.2.1:7701".parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_ends() {
    use tokio::io::AsyncReadExt;
    let listener = bind(Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let at = listener.local_addr().unwrap();
    let mut bounded = Bounded::new(listener);
    let client = TcpStream::connect(at).await.unwrap();
    let (mut connection, _) = bounded.accept().await;
    let error = connection.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(client);
}
