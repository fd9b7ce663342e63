//! The OpenAI chat completions dialect, as opencode, copilot, continue and aider speak it.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::dialect::{Event, Ids};
use super::request::{Item, Request, Tool, ToolKind, text_of, texts_of};
use super::script::Fault;

#[cfg(test)]
mod tests;

/// How many characters of a tool's arguments go into one event.
const PIECE: usize = 60;
/// What stands after the last event of a stream, instead of JSON.
const DONE: &str = "[DONE]";

/// Reads a request.
pub fn parse(body: &Value) -> Request {
    let mut request = Request {
        model: body["model"].as_str().unwrap_or("scripted").to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        ..Request::default()
    };
    for message in body["messages"].as_array().into_iter().flatten() {
        let content = &message["content"];
        match message["role"].as_str() {
            Some("system" | "developer") => {
                request.system.push('\n');
                request.system.push_str(&text_of(content));
            }
            Some("user") => request.items.push(Item::user(texts_of(content))),
            Some("tool" | "function") => request.items.push(Item::Result(text_of(content))),
            _ => {}
        }
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    request.tools.extend(tools.map(read_tool));
    let format = &body["response_format"];
    request.schema = match format["type"].as_str() {
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        Some("json_object") => Some(json!({ "type": "object" })),
        _ => None,
    };
    request
}

fn read_tool(tool: &Value) -> Tool {
    let kind = tool["type"].as_str().unwrap_or("function");
    // Each kind keeps what it has to say in a field of its own name.
    let said = &tool[kind];
    Tool {
        name: said["name"].as_str().unwrap_or(kind).to_owned(),
        namespace: None,
        kind: match kind {
            "function" => ToolKind::Function,
            "custom" => ToolKind::Freeform,
            _ => ToolKind::Hosted,
        },
        schema: said["parameters"].clone(),
    }
}

/// The whole answer as one JSON object.
pub fn render(request: &Request, answer: &Answer, ids: &Ids) -> Value {
    let mut message = json!({ "role": "assistant", "content": answer.text });
    if let Some(call) = &answer.call {
        message["tool_calls"] = json!([call_item(call, ids)]);
        if answer.text.is_empty() {
            message["content"] = Value::Null;
        }
    }
    let mut whole = frame(request, ids, "chat.completion");
    whole["choices"] = json!([{
        "index": 0, "message": message, "finish_reason": finish_reason(answer), "logprobs": null,
    }]);
    whole["usage"] = usage(answer);
    whole
}

/// The answer as a stream of events.
pub fn events(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let mut out = opening(request, ids);
    let mut push = |delta: Value, finish: Value| out.push(chunk(request, ids, &delta, &finish));
    for word in answer.text.split_inclusive(char::is_whitespace) {
        push(json!({ "content": word }), Value::Null);
    }
    for piece in answer.call.iter().flat_map(|call| call_pieces(call, ids)) {
        push(json!({ "tool_calls": [piece] }), Value::Null);
    }
    push(json!({}), json!(finish_reason(answer)));
    let mut last = frame(request, ids, "chat.completion.chunk");
    last["usage"] = usage(answer);
    out.push(unnamed(last));
    out.push(unnamed(json!(DONE)));
    out
}

/// How every stream begins.
pub fn opening(request: &Request, ids: &Ids) -> Vec<Event> {
    vec![chunk(request, ids, &json!({ "role": "assistant", "content": "" }), &Value::Null)]
}

fn chunk(request: &Request, ids: &Ids, delta: &Value, finish: &Value) -> Event {
    let mut data = frame(request, ids, "chat.completion.chunk");
    data["choices"] = json!([{
        "index": 0, "delta": delta, "finish_reason": finish, "logprobs": null,
    }]);
    unnamed(data)
}

fn unnamed(data: Value) -> Event {
    Event { name: String::new(), data }
}

fn frame(request: &Request, ids: &Ids, object: &str) -> Value {
    json!({
        "id": ids.of("chatcmpl"), "object": object, "created": ids.created,
        "model": request.model, "choices": [],
    })
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "prompt_tokens": usage.input,
        "prompt_tokens_details": { "cached_tokens": usage.cached },
        "completion_tokens": usage.output,
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.input + usage.output,
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.call.is_some() { "tool_calls" } else { "stop" }
}

/// A call: its kind's field holds the name and, under another name for each kind, the input.
fn call_item(call: &Call, ids: &Ids) -> Value {
    let (kind, field, input) = match call.kind {
        ToolKind::Freeform => {
            let text = call.args.as_str().map_or_else(|| call.args.to_string(), str::to_owned);
            ("custom", "input", text)
        }
        ToolKind::Function | ToolKind::Search | ToolKind::LocalShell | ToolKind::Hosted => {
            ("function", "arguments", call.args.to_string())
        }
    };
    json!({ "id": ids.of("call"), "type": kind, kind: { "name": call.name, field: input } })
}

/// A call in a stream: first who is called, with nothing yet, then the input piece by piece.
fn call_pieces(call: &Call, ids: &Ids) -> Vec<Value> {
    let mut begun = call_item(call, ids);
    begun["index"] = json!(0);
    let kind = begun["type"].as_str().unwrap_or_default().to_owned();
    let field = if kind == "custom" { "input" } else { "arguments" };
    let input = begun[&kind][field].as_str().unwrap_or_default().to_owned();
    begun[&kind][field] = json!("");
    let letters: Vec<char> = input.chars().collect();
    let pieces = letters.chunks(PIECE).map(|piece| piece.iter().collect::<String>());
    let pieces = pieces.map(|piece| json!({ "index": 0, kind.as_str(): { field: piece } }));
    [begun].into_iter().chain(pieces).collect()
}

/// An error as this provider words it: the same as in its newer dialect.
pub fn error(fault: &Fault, message: &str) -> Value {
    super::responses::error(fault, message)
}
