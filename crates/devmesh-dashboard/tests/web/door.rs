//! Who is let in, and what every answer says.

use serde_json::json;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use crate::world::World;

#[tokio::test]
async fn every_answer_is_fenced() {
    let world = World::start().await;
    for (path, status) in
        [("/", 200), ("/main.js", 200), ("/style.css", 200), ("/nothing", 404), ("/?token=x", 303)]
    {
        let answer = world.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
}

#[tokio::test]
async fn the_page_has_no_script_or_style_of_its_own_inside() {
    let page = World::start().await.get("/").await.body;
    assert!(page.contains("<script type=\"module\" src=\"/main.js\"></script>"));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
    assert!(!page.contains("http:") && !page.contains("https:"), "no asset from elsewhere");
}

#[tokio::test]
async fn only_its_own_names_are_answered() {
    let world = World::start().await;
    let port = world.address.port();
    let own = ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"].map(|name| format!("{name}:{port}"));
    for host in own {
        let answer = world.send("GET", "/", &[("Host", &host)]).await;
        assert_eq!(answer.status, 401, "{host}");
    }
    let others = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost.evil:{port}"),
        format!("127.0.0.1.evil:{port}"),
        format!("0.0.0.0:{port}"),
        format!("user@127.0.0.1:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        String::new(),
    ];
    for host in others {
        let cookie = world.cookie.clone();
        let answer = world.send("GET", "/", &[("Host", &host), ("Cookie", &cookie)]).await;
        assert_eq!(answer.status, 421, "{host}");
        assert!(!answer.body.contains("<html"), "{host}");
    }
    let two = [("Host", world.host()), ("Host", "evil.example".to_owned())];
    let two: Vec<(&str, &str)> = two.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert!(matches!(world.send("GET", "/", &two).await.status, 400 | 421));
    assert!(matches!(world.send("GET", "/", &[]).await.status, 400 | 421));
    let host = world.host();
    let absolute = world.send("GET", "http://evil.example/", &[("Host", &host)]).await;
    assert_eq!(absolute.status, 421);
}

#[tokio::test]
async fn a_socket_is_opened_for_a_page_of_ours_only() {
    let world = World::start().await;
    let port = world.address.port();
    assert!(world.dial(|_| {}).await.is_ok());
    let others = [
        "null".to_owned(),
        "http://evil.example".to_owned(),
        format!("http://evil.example:{port}"),
        "http://localhost.evil".to_owned(),
        "http://127.0.0.1:1".to_owned(),
        "http://127.0.0.1".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        String::new(),
    ];
    for origin in others {
        let origin = HeaderValue::from_str(&origin).unwrap();
        let refused = world.dial(|r| drop(r.headers_mut().insert("Origin", origin.clone()))).await;
        assert_eq!(refused.err(), Some(StatusCode::FORBIDDEN), "{origin:?}");
    }
    let missing = world.dial(|request| drop(request.headers_mut().remove("Origin"))).await;
    assert_eq!(missing.err(), Some(StatusCode::FORBIDDEN));
    let evil = HeaderValue::from_static("evil.example");
    let rebound = world.dial(|request| {
        request.headers_mut().insert("Origin", HeaderValue::from_static("http://evil.example"));
        request.headers_mut().insert("Host", evil);
    });
    assert_eq!(rebound.await.err(), Some(StatusCode::MISDIRECTED_REQUEST));
}

#[tokio::test]
async fn a_socket_is_opened_for_who_signed_in_only() {
    let world = World::start().await;
    let refused = world.dial(|request| drop(request.headers_mut().remove("Cookie"))).await;
    assert_eq!(refused.err(), Some(StatusCode::UNAUTHORIZED));
    let name = world.cookie.split('=').next().unwrap().to_owned();
    let value = world.cookie.split('=').nth(1).unwrap().to_owned();
    let wrong = [
        format!("{name}="),
        format!("{name}={}", "0".repeat(value.len())),
        format!("{name}={}", &value[..value.len() - 1]),
        format!("{name}={value}0"),
        format!("devmesh={value}"),
        format!("{name}_x={value}"),
    ];
    for cookie in wrong {
        let cookie = HeaderValue::from_str(&cookie).unwrap();
        let refused = world.dial(|r| drop(r.headers_mut().insert("Cookie", cookie.clone()))).await;
        assert_eq!(refused.err(), Some(StatusCode::UNAUTHORIZED), "{cookie:?}");
    }
    let among = HeaderValue::from_str(&format!("a=b; {}; c=d", world.cookie)).unwrap();
    assert!(
        world.dial(|request| drop(request.headers_mut().insert("Cookie", among))).await.is_ok()
    );
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let world = World::start().await;
    let host = world.host();
    let path = world.bound.sign_in.strip_prefix(world.bound.url.as_str()).unwrap().to_owned();
    let again = world.send("GET", &format!("/{path}"), &[("Host", &host)]).await;
    assert_eq!(again.status, 401);
    assert!(again.header("set-cookie").is_none());
    // The browser that used it is not thrown out when it comes by it again.
    let own = world.get(&format!("/{path}")).await;
    assert_eq!((own.status, own.header("location")), (303, Some("/")));
    for token in ["", "x", "AAAA", "%00", &"A".repeat(75), &"A".repeat(10_000)] {
        let answer = world.send("GET", &format!("/?token={token}"), &[("Host", &host)]).await;
        assert_eq!(answer.status, 401, "{token}");
        assert!(answer.header("set-cookie").is_none());
    }
}

#[tokio::test]
async fn nothing_but_reading_is_answered() {
    let world = World::start().await;
    let (host, cookie) = (world.host(), world.cookie.clone());
    let origin = format!("http://{host}");
    let before = world.desk.seq();
    for path in ["/", "/ws", "/main.js", "/nothing"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let bare = [("Host", host.as_str()), ("Cookie", cookie.as_str())];
            assert_eq!(world.send(method, path, &bare).await.status, 403, "{method} {path}");
            let own = [bare[0], bare[1], ("Origin", &origin)];
            let status = world.send(method, path, &own).await.status;
            assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
        }
    }
    for path in ["/../Cargo.toml", "/page/main.js", "/%2e%2e/etc/passwd", "/.git/config", "//etc"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    assert!(matches!(world.get("/ws").await.status, 400 | 426));
    assert_eq!(world.desk.seq(), before);
}

#[tokio::test]
async fn an_own_page_may_ask_with_its_origin_and_no_other() {
    let world = World::start().await;
    let host = world.host();
    let own = format!("http://{host}");
    let ask = |origin: String| {
        let (host, cookie) = (host.clone(), world.cookie.clone());
        let world = &world;
        async move {
            let headers = [("Host", host.as_str()), ("Cookie", &cookie), ("Origin", &origin)];
            world.send("GET", "/", &headers).await.status
        }
    };
    assert_eq!(ask(own).await, 200);
    assert_eq!(ask("http://evil.example".to_owned()).await, 403);
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let world = World::start().await;
    let (host, big) = (world.host(), "x".repeat(2 * 1024 * 1024));
    // The server may well end the connection before it has all of it.
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {big}\r\n\r\n");
    let sent = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let _ = write.write_all(request.as_bytes()).await;
        write
    });
    let mut bytes = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP/1.1 200"));
    drop(sent);
    let (mut page, _) = world.page().await;
    let reply = page.command(1, "task.cancel", json!({ "task": "t-1" })).await;
    assert_eq!(reply["reply"]["error"]["code"], "TASK_NOT_FOUND");
}
