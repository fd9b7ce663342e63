//! `devmesh task answer`: a person's answer to a worker's question.

use devmesh_protocol::command::task::Answer;
use devmesh_protocol::{QuestionId, Verb};

use crate::context::Context;
use crate::error::{Error, Result};

/// Answer a worker's question
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The question, or the task that asks it
    #[arg(value_name = "QUESTION|TASK")]
    question: String,
    /// The answer
    answer: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let question: QuestionId = match self.question.parse() {
            Ok(question) => question,
            Err(_) => {
                let task = super::task_id(&self.question).map_err(|_| {
                    Error::usage(format!("{:?} is no question and no task", self.question))
                        .hint("`devmesh review` lists what is asked, as q-41")
                })?;
                let view = super::one(&link, task).await?;
                let asked = view.question.map(|question| question.question);
                asked.ok_or_else(|| Error::usage(format!("{task} asks nothing")))?
            }
        };
        let body = Answer { question, answer: self.answer };
        let reply = link.submit(Verb::TaskAnswer(body)).await?;
        context.out.answer(reply, |_, _| context.out.say(format!("{question} is answered")))
    }
}
