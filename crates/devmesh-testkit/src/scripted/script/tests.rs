//! Blocks in prompts.

use super::*;

fn shell(text: &str) -> Block {
    Block::Shell(text.to_owned())
}

#[test]
fn blocks_are_read_in_order_and_others_passed_over() {
    let prompt = "Do this:\n```sh\na\nb\n```\n```rust\nfn main() {}\n```\n```\nplain\n```\n\
                  ```scripted\nsay hi there\n\nsleep 5\n```\n```sh\nc\n```";
    let told = vec![Instruction::Say("hi there".to_owned()), Instruction::Sleep(5)];
    assert_eq!(blocks(prompt, 1).unwrap(), [shell("a\nb"), Block::Scripted(told), shell("c")]);
}

#[test]
fn attempts_choose_their_blocks() {
    let prompt = "```sh attempt=1\none\n```\n```sh attempt=2+\nlater\n```\n\
                  ```sh attempt=1-2\nearly\n```\n```sh\nall\n```";
    assert_eq!(blocks(prompt, 1).unwrap(), [shell("one"), shell("early"), shell("all")]);
    assert_eq!(blocks(prompt, 2).unwrap(), [shell("later"), shell("early"), shell("all")]);
    assert_eq!(blocks(prompt, 3).unwrap(), [shell("later"), shell("all")]);
}

#[test]
fn longer_fences_and_indents_keep_what_is_inside() {
    let prompt =
        "````sh\ncat <<E\n```sh\ninner\n```\nE\n````\n- item\n  ```sh\n  if x\n    y\n  ```";
    let outer = shell("cat <<E\n```sh\ninner\n```\nE");
    assert_eq!(blocks(prompt, 1).unwrap(), [outer, shell("if x\n  y")]);
}

#[test]
fn every_instruction_can_be_read() {
    let prompt = "```scripted\nhang\nfail so sad\nrate-limit 30\nusage 10 20 0.0123\n```";
    let expect = vec![
        Instruction::Hang,
        Instruction::Fail("so sad".to_owned()),
        Instruction::RateLimit(30),
        Instruction::Usage(10, 20, 12_300),
    ];
    assert_eq!(blocks(prompt, 1).unwrap(), [Block::Scripted(expect)]);
}

#[test]
fn a_slip_of_the_pen_is_told_and_not_ignored() {
    for prompt in [
        "```sh attempt=first\nx\n```",
        "```sh try=1\nx\n```",
        "```scripted\nsing\n```",
        "```scripted\nsleep long\n```",
        "```scripted\nusage 1 2\n```",
        "```scripted\nusage 1 2 0.12345678\n```",
    ] {
        assert!(blocks(prompt, 1).is_err(), "{prompt}");
    }
    assert_eq!(blocks("nothing to do", 1).unwrap(), []);
}
