//! A repository of this host, served to one that joined: git's own protocol through the gate.
//!
//! The other host reads branches, tags and devmesh's refs. It moves devmesh's refs, the branches
//! under `devmesh/` and the one that work lands on; git itself refuses every other.

use std::process::Stdio;
use std::time::Duration;

use devmesh_bus::gate::Served;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A big repository over a slow wire.
const WITHIN: Duration = Duration::from_secs(30 * 60);

/// What git is called; none for anything but the two services of a repository.
pub(super) fn named(name: &str) -> Option<&'static str> {
    match name {
        "git-upload-pack" => Some("upload-pack"),
        "git-receive-pack" => Some("receive-pack"),
        _ => None,
    }
}

/// Speaks git until it has said all.
pub(super) async fn serve(wire: Served, program: &str, path: &str, target: &str) {
    let talk = tokio::time::timeout(WITHIN, talk(wire, program, path, target)).await;
    match talk {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, path, program, "git was not served"),
        Err(_) => tracing::warn!(path, program, "git was not served in time"),
    }
}

async fn talk(wire: Served, program: &str, path: &str, target: &str) -> std::io::Result<()> {
    let mut command = Command::new("git");
    for setting in [
        // Nobody's hooks run for an agent's move, here as little as on this host.
        "core.hooksPath=/dev/null",
        "gc.auto=0",
        "receive.autogc=false",
        "receive.denyCurrentBranch=refuse",
        "receive.hideRefs=refs",
        "receive.hideRefs=!refs/devmesh",
        "receive.hideRefs=!refs/heads/devmesh",
        &format!("receive.hideRefs=!refs/heads/{target}"),
    ] {
        command.args(["-c", setting]);
    }
    command.arg(program).arg(path);
    let kept = ["PATH", "HOME", "LANG", "XDG_CONFIG_HOME"];
    command.env_clear().envs(kept.iter().filter_map(|key| Some((*key, std::env::var_os(key)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(());
    };
    let (mut from, mut to) = tokio::io::split(wire);
    let hear = async {
        // Git may have heard enough; how it ends is what counts.
        let _ = tokio::io::copy(&mut from, &mut input).await;
        drop(input);
        // Until git has answered; who goes away before that is noticed by the answer.
        std::future::pending::<()>().await;
    };
    let say = async {
        tokio::io::copy(&mut output, &mut to).await?;
        to.shutdown().await
    };
    tokio::select! {
        () = hear => {}
        said = say => said?,
    }
    child.wait().await.map(|_| ())
}
