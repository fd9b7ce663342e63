//! Prompts as the model reads them.

use super::*;
use crate::fixture::TestRepo;

#[test]
fn the_task_comes_first_and_in_its_authors_words() {
    let text = "Do it.\n```sh\necho hi\n```";
    let parts = Parts {
        task: "t-1".into(),
        title: "Tabs".into(),
        prompt: Some(text.into()),
        rules: vec![("R11".into(), "The worktree is the root.".into())],
        ..Parts::default()
    };
    let prompt = first(&parts);
    assert!(prompt.starts_with(&format!("# Task t-1: Tabs\n\n{text}\n\n## Rules\n")), "{prompt}");
    assert!(prompt.ends_with("R11 The worktree is the root.\n"));
    assert!(!prompt.contains("Where it stands"));
}

#[test]
fn what_people_change_by_hand_is_told() {
    let by_hand = vec![("ada".to_owned(), "src/a.rs".to_owned())];
    let prompt = first(&Parts { by_hand, ..Parts::default() });
    assert!(prompt.contains("## Changed by hand\n") && prompt.contains("- src/a.rs (ada)\n"));
    assert!(!first(&Parts::default()).contains("Changed by hand"));
}

#[tokio::test]
async fn the_map_is_bounded_and_shows_names_near_the_task() {
    let repo = TestRepo::new();
    repo.write("src/parser/lex.rs", "pub struct Lexer;\n    pub fn next_token() {}\nlet x = 1;\n");
    for n in 0..400 {
        repo.write(&format!("folder{n}/deep/er/x.txt"), "x");
    }
    repo.commit("files");
    let map = repo_map(&repo.git_async(), &["src/parser/".into()]).await.unwrap();
    assert!(map.starts_with("src/parser/lex.rs: Lexer, next_token\n./ (2 files)\n"), "{map}");
    assert!(map.len() <= 4_096 && map.contains("folder0/deep/ (1 files)"));
}

#[test]
fn a_verdict_is_the_last_line_that_is_one() {
    use devmesh_protocol::command::task::Judgement;
    let cases = [
        ("Fine.\nVERDICT: approve", Some((Judgement::Approve, Some("Fine.")))),
        ("**Verdict: Rejected.**\n", Some((Judgement::Reject, None))),
        (
            "VERDICT: approve\nno, wait\nverdict: reject",
            Some((Judgement::Reject, Some("VERDICT: approve\nno, wait"))),
        ),
        ("I would end with VERDICT: approve or reject", None),
        ("VERDICT: approve or reject", None),
        ("approve", None),
        ("", None),
    ];
    for (words, wanted) in cases {
        let found = verdict(words).map(|it| (it.judgement, it.comments));
        let wanted = wanted.map(|(judgement, text)| (judgement, text.map(str::to_owned)));
        assert_eq!(found, wanted, "{words}");
    }
}

#[test]
fn a_reviewer_is_told_where_two_changes_meet() {
    let task = serde_json::from_value(serde_json::json!({
        "task": "t-2", "title": "T", "state": "review", "blocked": null, "repo": "app",
        "base": "main", "target": "main", "paths": [], "priority": 2, "depends_on": [],
        "needs": [], "tool": null, "review": "none", "key": null, "verify": [], "flow": "merge",
        "max_attempts": 3, "max_cost_usd": 1.0, "max_wall_s": 60, "tries": 0, "by": "alice",
        "added_at": "2026-01-01T00:00:00Z", "ended_at": null, "commit": null, "question": null,
        "attempt": null, "attempts": [], "reverts": null, "prompt": "Do it.",
    }));
    let task: TaskView = task.unwrap();
    let merged = serde_json::from_value(serde_json::json!([{ "path": "src/x", "with": "t-1" }]));
    let merged: Vec<devmesh_protocol::command::task::Merged> = merged.unwrap();
    let prompt = review(&task, &merged, "DIFF");
    assert!(prompt.contains("\n- src/x (with t-1)\n") && prompt.contains("Do it."), "{prompt}");
    assert!(!review(&task, &[], "DIFF").contains("(with"));
}
