//! One spelling per file, and nothing outside the repository.

use proptest::prelude::*;

use super::{BadPath, RepoPath};

fn check(text: &str, expected: Result<&str, BadPath>) {
    let got = RepoPath::new(text).map(|p| p.to_string());
    assert_eq!(got.as_deref().map_err(|e| *e), expected, "{text:?}");
}

#[test]
fn aliases_become_one_path() {
    for alias in ["a/b", "./a/b", "a//b", "a/x/../b", "a\\b", "a/./b", "x/../a/b"] {
        check(alias, Ok("a/b"));
    }
    for alias in ["src/", "src//", "src/.", "src/x/.."] {
        check(alias, Ok("src/"));
    }
    check(".", Ok("./"));
    check("a/..", Ok("./"));
    check("CON", Ok("CON"));
    check("-rf", Ok("-rf"));
    assert_eq!(RepoPath::new("src").unwrap(), RepoPath::new("src/").unwrap());
}

#[test]
fn what_is_not_in_the_repository_is_refused() {
    check("", Err(BadPath::Empty));
    check("/", Err(BadPath::Absolute));
    check("/etc/passwd", Err(BadPath::Absolute));
    check("C:\\x", Err(BadPath::Absolute));
    check("~/x", Err(BadPath::Absolute));
    check("..", Err(BadPath::Outside));
    check("a/../../b", Err(BadPath::Outside));
    check("..\\b", Err(BadPath::Outside));
    check(".git/config", Err(BadPath::GitFolder));
    check("sub/.GIT/hooks/x", Err(BadPath::GitFolder));
    check("a\0b", Err(BadPath::Control));
    check("a\nb", Err(BadPath::Control));
    check("a\u{1b}[2J", Err(BadPath::Control));
    check(&"a".repeat(256), Err(BadPath::TooLong));
    check(&"ab/".repeat(400), Err(BadPath::TooLong));
}

#[test]
fn a_plain_path_needs_no_normalising() {
    for plain in ["a", "src/parser/a.rs", "src/", ".github/x-y_z.yml", "a b/c"] {
        assert!(super::is_normal(plain), "{plain}");
    }
}

#[test]
fn a_folder_overlaps_what_is_in_it_and_above_it() {
    let overlaps = |a, b| RepoPath::new(a).unwrap().overlaps(&RepoPath::new(b).unwrap());
    assert!(overlaps("src/", "src/parser/a.rs"));
    assert!(overlaps("src/parser/a.rs", "src"));
    assert!(overlaps(".", "anything"));
    assert!(overlaps("a", "a"));
    assert!(!overlaps("src", "srcs/a"));
    assert!(!overlaps("src/a", "src/ab"));
    assert!(!overlaps("a/b", "a/c"));
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(text in "[a-c./\\\\]{1,24}") {
        if let Ok(path) = RepoPath::new(&text) {
            let again = RepoPath::new(&path.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), path.to_string());
            prop_assert!(!path.key().split('/').any(|part| part == ".." || part == "."));
            prop_assert!(!path.key().starts_with('/'));
        }
    }

    /// What is taken as it stands is what it would have been made.
    #[test]
    fn a_normal_path_is_taken_as_it_is_made(
        text in "(\\.?\\.?(git|GIT|[a-c~: é\\x01\\\\]{0,2})/?){1,5}",
    ) {
        let spelled = |path: RepoPath| (path.key().to_owned(), path.to_string());
        let (taken, made) = (RepoPath::new(&text), RepoPath::normalised(&text));
        prop_assert_eq!(taken.map(spelled), made.map(spelled));
    }

    #[test]
    fn anything_is_a_path_or_an_error(text in any::<String>()) {
        let _ = RepoPath::new(&text);
    }
}
