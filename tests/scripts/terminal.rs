//! `up` on a terminal: it shows what it would start and asks once.

use super::rig::Rig;

/// Runs `devmesh up` on a terminal of its own, answers its question, and ends it by Ctrl-C.
const TERMINAL: &str = r#"
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("devmesh", ["devmesh", "up"])
said, answered, ended, deadline = b"", False, False, time.time() + 90
while time.time() < deadline:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    if b"[Y/n]" in said and not answered:
        os.write(fd, sys.argv[1].encode() + b"\n")
        answered = True
    if b"Ctrl-C ends it" in said and not ended:
        os.write(fd, b"\x03")
        ended = True
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

async fn up(answer: &str) -> String {
    let rig = Rig::new().await;
    std::fs::create_dir_all(rig.at("bin")).unwrap();
    let tool = "#!/bin/sh\necho '2.1.0 (Claude Code)'\n";
    std::fs::write(rig.at("bin/claude"), tool).unwrap();
    std::fs::write(rig.at("repo/go.mod"), "module x\n").unwrap();
    std::fs::write(rig.at("tmp/terminal_try.py"), TERMINAL).unwrap();
    // Only the tool that is ours: what is installed on this machine is not offered.
    let line = format!(
        "chmod +x ../bin/claude; d=$(dirname $(command -v devmesh)); \
         PATH=../bin:$d:/usr/bin:/bin python3 ../tmp/terminal_try.py {answer}"
    );
    let said = rig.done(&line).await;
    assert_eq!(rig.left().await, []);
    said
}

#[tokio::test]
async fn a_yes_starts_what_was_shown() {
    let said = up("y").await;
    for part in ["claude  2.1.0    edit", "ceilings: $5 a task, $50 a day", "go test ./..."] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    assert_eq!(said.matches("[Y/n]").count(), 1, "{said}");
    assert!(said.contains("agents       claude-1"), "{said}");
    assert!(said.contains("?token="), "a person gets a link to sign in\n{said}");
}

#[tokio::test]
async fn a_no_starts_no_agent() {
    let said = up("n").await;
    assert!(said.contains("agents       none"), "{said}");
    assert!(said.contains("nothing proves work here yet"), "{said}");
}
