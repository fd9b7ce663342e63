//! How a text becomes title and prompt.

use super::{parts, usd};

#[test]
fn the_first_line_names_a_task() {
    let cases = [
        (None, "fix it", "fix it", None),
        (None, "  fix it\n", "fix it", None),
        (None, "\n# Fix\n\nthe tabs", "# Fix", Some("# Fix\n\nthe tabs")),
        (Some("tabs"), "fix it", "tabs", Some("fix it")),
    ];
    for (title, text, expected, prompt) in cases {
        let (got, rest) = parts(title, text).unwrap();
        assert_eq!((got.as_str(), rest.as_deref()), (expected, prompt), "{text:?}");
    }
    assert!(parts(None, " \n\t").is_err());
    let long = "x".repeat(1_000);
    let (title, prompt) = parts(None, &long).unwrap();
    assert_eq!(title.len(), 300);
    assert_eq!(prompt, Some(long));
}

#[test]
fn money_is_read_as_dollars() {
    assert_eq!(usd("2.5").unwrap().micro, 2_500_000);
    assert!(usd("-1").is_err());
    assert!(usd("much").is_err());
}
