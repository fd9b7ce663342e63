//! Carries out a script and tells about it line by line.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::Line;
use super::script::{Block, Instruction, blocks};

/// How much of a command's output is told.
const OUTPUT_BYTES_MAX: usize = 4096;
/// What a token of this stand-in costs, in micro-dollars.
const TOKEN_MICRO_DOLLARS: u64 = 3;

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where commands run; the process's own directory without it.
    pub cwd: Option<PathBuf>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The session to go on with.
    pub resume: Option<String>,
    /// Milliseconds before each block.
    pub delay_ms: u64,
    /// Fail when everything is done.
    pub fail: bool,
    /// Never end when everything is done.
    pub hang: bool,
    /// A process to leave behind in its own session: program and arguments.
    pub stray: Option<(PathBuf, Vec<String>)>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything was done.
    Done,
    /// Something failed, or was told to.
    Failed,
}

/// What is known of a run so far.
struct Run<'a, W> {
    options: &'a Options,
    out: &'a mut W,
    /// Tokens read, tokens written, micro-dollars.
    usage: Option<(u64, u64, u64)>,
    spoken: u64,
}

/// Why a run stops before its end.
struct Stop {
    code: &'static str,
    message: String,
    status: Option<u16>,
}

/// Runs the script of a prompt.
///
/// # Errors
/// When the output cannot be written or no shell can be started.
pub async fn run<W: Write>(prompt: &str, options: &Options, out: &mut W) -> io::Result<Ending> {
    let fresh = || uuid::Uuid::now_v7().to_string();
    let mut run = Run { options, out, usage: None, spoken: 0 };
    run.tell(&Line::Started {
        session: options.resume.clone().unwrap_or_else(fresh),
        attempt: options.attempt.max(1),
        resumed: options.resume.is_some(),
    })?;
    let stopped = run.work(prompt).await?;
    let read = prompt.len() as u64 / 4;
    let (input_tokens, output_tokens, cost) = run
        .usage
        .unwrap_or_else(|| (read, run.spoken / 4, (read + run.spoken / 4) * TOKEN_MICRO_DOLLARS));
    // Exact for any cost below nine billion dollars.
    let cost_usd = cost as f64 / 1e6;
    run.tell(&Line::Usage { input_tokens, output_tokens, cost_usd })?;
    match stopped {
        None => {
            run.tell(&Line::Done { message: "The script is done.".to_owned() })?;
            Ok(Ending::Done)
        }
        Some(Stop { code, message, status }) => {
            let code = code.to_owned();
            run.tell(&Line::Failed { code, message, status })?;
            Ok(Ending::Failed)
        }
    }
}

impl<W: Write> Run<'_, W> {
    fn tell(&mut self, line: &Line) -> io::Result<()> {
        let json = serde_json::to_string(line)?;
        writeln!(self.out, "{json}")?;
        self.out.flush()
    }

    async fn work(&mut self, prompt: &str) -> io::Result<Option<Stop>> {
        let blocks = match blocks(prompt, self.options.attempt.max(1)) {
            Ok(blocks) => blocks,
            Err(message) => return Ok(Some(error(message))),
        };
        let text = match blocks.len() {
            0 => "The prompt holds no script: nothing to do.".to_owned(),
            1 => "One block to work through.".to_owned(),
            many => format!("{many} blocks to work through."),
        };
        self.tell(&Line::Message { text })?;
        self.leave_stray().await?;
        for block in &blocks {
            sleep(self.options.delay_ms).await;
            let stopped = match block {
                Block::Shell(command) => self.shell(command).await?,
                Block::Scripted(instructions) => self.follow(instructions).await?,
            };
            if stopped.is_some() {
                return Ok(stopped);
            }
        }
        if self.options.hang {
            std::future::pending::<()>().await;
        }
        Ok(self.options.fail.then(|| error("told to fail".to_owned())))
    }

    async fn follow(&mut self, instructions: &[Instruction]) -> io::Result<Option<Stop>> {
        for instruction in instructions {
            match instruction {
                Instruction::Say(text) => self.tell(&Line::Message { text: text.clone() })?,
                Instruction::Sleep(ms) => sleep(*ms).await,
                Instruction::Hang => std::future::pending::<()>().await,
                Instruction::Fail(message) => return Ok(Some(error(message.clone()))),
                Instruction::RateLimit(seconds) => {
                    let message = format!("rate limit reached, try again in {seconds} s");
                    self.tell(&Line::Throttled { retry_ms: seconds.saturating_mul(1000) })?;
                    return Ok(Some(Stop { code: "rate_limit", message, status: Some(429) }));
                }
                Instruction::Usage(input, output, cost) => {
                    self.usage = Some((*input, *output, *cost));
                }
            }
        }
        Ok(None)
    }

    async fn shell(&mut self, command: &str) -> io::Result<Option<Stop>> {
        let begun = Instant::now();
        let mut shell = Command::new("sh");
        // One pipe for both streams keeps their order.
        shell.args(["-e", "-c", &format!("exec 2>&1\n{command}")]);
        if let Some(cwd) = &self.options.cwd {
            shell.current_dir(cwd);
        }
        let output = shell.stdin(Stdio::null()).output().await?;
        let exit_code = code(output.status);
        self.spoken += command.len() as u64;
        self.tell(&Line::Command {
            command: command.to_owned(),
            exit_code,
            output: tail(&output.stdout),
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })?;
        let message = format!("a command ended with {exit_code}");
        Ok((exit_code != 0).then_some(Stop { code: "command", message, status: None }))
    }

    async fn leave_stray(&mut self) -> io::Result<()> {
        let Some((program, args)) = &self.options.stray else { return Ok(()) };
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.tell(&Line::Stray { pid: child.id().unwrap_or_default() })
    }
}

fn error(message: String) -> Stop {
    Stop { code: "error", message, status: None }
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(OUTPUT_BYTES_MAX);
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}
