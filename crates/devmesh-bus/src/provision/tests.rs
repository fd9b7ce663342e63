//! Tests of what the streams are asked to be.

use std::time::Duration;

use super::*;

#[test]
fn no_two_meshes_share_a_name() {
    let names = |mesh: &str| {
        let limits = Limits::default();
        let mut names: Vec<_> = logs(mesh, &limits).into_iter().map(|c| c.name).collect();
        names.extend(sides(mesh, &limits).into_iter().map(|c| c.name));
        names
    };
    assert_eq!(names("a-b")[0], "DEVMESH_A-B");
    assert!(names("a").iter().all(|name| !names("a-output").contains(name)));
}

#[test]
fn only_the_log_is_for_ever() {
    let limits = Limits::default();
    let [log, text] = logs("m", &limits);
    assert!(log.deny_delete && log.deny_purge && !log.allow_direct);
    assert!(!text.deny_delete && !text.deny_purge, "free text can be redacted");
    for side in sides("m", &limits) {
        assert!(
            side.max_bytes > 0 && !side.max_age.is_zero() && !side.deny_delete,
            "{}",
            side.name
        );
    }
}

#[test]
fn limits_out_of_range_are_named() {
    let check = |limits: Limits, expected: &str| {
        let Err(Error::Limits { field, .. }) = limits.validate() else { panic!("{limits:?}") };
        assert_eq!(field, expected);
    };
    check(Limits { replicas: 2, ..Limits::default() }, "replicas");
    check(Limits { output_bytes_max: 0, ..Limits::default() }, "output_bytes_max");
    check(Limits { blob_bytes_max: -1, ..Limits::default() }, "blob_bytes_max");
    check(Limits { mail_age_max: Duration::from_secs(1), ..Limits::default() }, "mail_age_max");
    assert!(Limits { replicas: 3, ..Limits::default() }.validate().is_ok());
}

#[test]
fn a_difference_names_field_and_both_values() {
    let [asked, _] = logs("m", &Limits::default());
    assert_eq!(differences(&asked, &asked), []);
    let stored =
        stream::Config { deny_purge: false, max_age: Duration::from_secs(1), ..asked.clone() };
    let found = differences(&asked, &stored);
    let fields: Vec<_> = found.iter().map(|d| d.field.as_str()).collect();
    assert_eq!(fields.len(), 2, "{found:?}");
    assert!(fields.contains(&"deny_purge") && fields.contains(&"max_age"));
    let text = Error::Differs { stream: "S".to_owned(), differences: found }.to_string();
    assert!(text.contains("asked was true"), "{text}");
}
