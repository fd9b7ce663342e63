//! The two views of a source, and functions counted in one of them.

use crate::tidy::function::{Function, functions};
use crate::tidy::views::Views;

#[track_caller]
fn check(text: &str, code: &str, strings: &str) {
    let views = Views::of(text);
    assert_eq!(views.code, code);
    assert_eq!(views.strings.trim(), strings);
    assert_eq!(views.code.chars().count(), text.chars().count());
    assert_eq!(views.strings.lines().count(), text.lines().count());
}

#[test]
fn comments_are_blank_in_both() {
    check("a // b \"c\"\nd", "a         \nd", "");
    check("a /* b /* c */ d */ e", "a                   e", "");
    check("a /* never closed", "a                ", "");
}

#[test]
fn strings_are_in_one_and_code_in_the_other() {
    check(r#"f("a b", x)"#, r#"f("   ", x)"#, "a b");
    check(r#"f("a\"b")"#, r#"f("    ")"#, r#"a\"b"#);
    check("f(\"never closed", "f(\"            ", "never closed");
    check("f(b\"ab\")", "f(b\"  \")", "ab");
}

#[test]
fn raw_strings_end_at_their_own_hashes() {
    check(r##"f(r#"a "b" c"#)"##, r##"f(r#"       "#)"##, r#"a "b" c"#);
    check(r#"f(r"a\", x)"#, r#"f(r"  ", x)"#, r"a\");
    check(r##"f(br#"ab"#)"##, r##"f(br#"  "#)"##, "ab");
    check("let r#fn = var;", "let r#fn = var;", "");
}

#[test]
fn characters_are_blank_and_lifetimes_are_code() {
    check("f('{', '\"', '\\'', '\\n')", "f(' ', ' ', '  ', '  ')", "");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "");
    check("'\\u{1F600}' // x", "'         '     ", "");
}

fn lengths(text: &str) -> Vec<(String, usize, usize)> {
    let found = functions(&Views::of(text).code);
    found.into_iter().map(|Function { name, line, lines }| (name, line, lines)).collect()
}

#[test]
fn functions_are_counted_from_their_name_to_their_brace() {
    let text = "fn a() {}\n\nfn b(\n    x: u8,\n) -> u8 {\n    let s = \"}\";\n    x\n}\n";
    assert_eq!(lengths(text), [("a".to_owned(), 1, 1), ("b".to_owned(), 3, 6)]);
}

#[test]
fn nested_functions_count_by_themselves() {
    let text = "fn a() {\n    fn b() {\n    }\n}\n";
    assert_eq!(lengths(text), [("a".to_owned(), 1, 4), ("b".to_owned(), 2, 2)]);
}

#[test]
fn functions_without_a_body_and_function_types_are_none() {
    let text = "trait T { fn a(&self);\nfn b(&self, f: fn(u8) -> [u8; 2]) -> u8 {\n f(1) } }\n";
    assert_eq!(lengths(text), [("b".to_owned(), 2, 2)]);
}
