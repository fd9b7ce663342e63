//! The Anthropic Messages dialect, as claude speaks it.

use serde_json::{Value, json};

use super::answer::Answer;
use super::dialect::{Event, Ids};
use super::request::{Item, Request, Tool, ToolKind, text_of, texts_of};
use super::script::Fault;

#[cfg(test)]
mod tests;

/// How many characters of a tool's arguments go into one event.
const PIECE: usize = 60;

/// Reads a request.
pub fn parse(body: &Value) -> Request {
    let mut request = Request {
        model: body["model"].as_str().unwrap_or("scripted").to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        system: text_of(&body["system"]),
        ..Request::default()
    };
    let mut searches = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        read_message(&mut request, message, &mut searches);
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        request.tools.push(Tool {
            name: tool["name"].as_str().unwrap_or_default().to_owned(),
            namespace: None,
            kind: match tool["input_schema"] {
                Value::Null => ToolKind::Hosted,
                _ => ToolKind::Function,
            },
            schema: tool["input_schema"].clone(),
        });
    }
    let format = body.pointer("/output_config/format").unwrap_or(&body["output_format"]);
    if format["type"] == "json_schema" {
        request.schema = Some(format["schema"].clone());
    }
    request
}

fn read_message<'a>(request: &mut Request, message: &'a Value, searches: &mut Vec<&'a str>) {
    let content = &message["content"];
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    match message["role"].as_str() {
        Some("assistant") => {
            let calls = blocks.iter().filter(|block| block["name"] == "ToolSearch");
            searches.extend(calls.filter_map(|call| call["id"].as_str()));
        }
        Some("system") => {
            request.system.push('\n');
            request.system.push_str(&text_of(content));
        }
        _ => {
            let mut results = 0;
            for result in blocks.iter().filter(|block| block["type"] == "tool_result") {
                results += 1;
                let id = result["tool_use_id"].as_str().unwrap_or_default();
                request.items.push(if searches.contains(&id) {
                    Item::Search
                } else {
                    Item::Result(text_of(&result["content"]))
                });
            }
            // Text beside a tool result is the client's comment on it, not a new prompt.
            if results == 0 {
                request.items.push(Item::user(texts_of(content)));
            }
        }
    }
}

/// The whole answer as one JSON object.
pub fn render(request: &Request, answer: &Answer, ids: &Ids) -> Value {
    let mut message = frame(request, answer, ids);
    message["content"] = Value::from(blocks(answer, ids));
    message["stop_reason"] = json!(stop_reason(answer));
    message
}

/// The answer as a stream of events.
pub fn events(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let mut out = opening(request, answer, ids);
    push(&mut out, json!({ "type": "ping" }));
    for (index, block) in blocks(answer, ids).iter().enumerate() {
        block_events(&mut out, index, block);
    }
    push(
        &mut out,
        json!({
            "type": "message_delta", "usage": usage(answer),
            "delta": { "stop_reason": stop_reason(answer), "stop_sequence": null },
        }),
    );
    push(&mut out, json!({ "type": "message_stop" }));
    out
}

/// How every stream begins.
pub fn opening(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let mut begun = frame(request, answer, ids);
    begun["usage"]["output_tokens"] = json!(1);
    let mut out = Vec::new();
    push(&mut out, json!({ "type": "message_start", "message": begun }));
    out
}

fn frame(request: &Request, answer: &Answer, ids: &Ids) -> Value {
    json!({
        "id": ids.of("msg"), "type": "message", "role": "assistant", "model": request.model,
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage(answer),
    })
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "input_tokens": usage.input, "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached, "cache_creation_input_tokens": 0,
        "service_tier": "standard",
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.call.is_some() { "tool_use" } else { "end_turn" }
}

fn blocks(answer: &Answer, ids: &Ids) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !answer.text.is_empty() || answer.call.is_none() {
        blocks.push(json!({ "type": "text", "text": answer.text }));
    }
    if let Some(call) = &answer.call {
        let id = ids.of("toolu");
        blocks.push(json!({
            "type": "tool_use", "id": id, "name": call.name, "input": call.args,
        }));
    }
    blocks
}

fn block_events(out: &mut Vec<Event>, index: usize, block: &Value) {
    let is_text = block["type"] == "text";
    let mut begun = block.clone();
    let deltas: Vec<Value> = if is_text {
        begun["text"] = json!("");
        let text = block["text"].as_str().unwrap_or_default();
        let words = text.split_inclusive(char::is_whitespace);
        words.map(|word| json!({ "type": "text_delta", "text": word })).collect()
    } else {
        begun["input"] = json!({});
        let letters: Vec<char> = block["input"].to_string().chars().collect();
        let pieces = letters.chunks(PIECE).map(|piece| piece.iter().collect::<String>());
        pieces.map(|json| json!({ "type": "input_json_delta", "partial_json": json })).collect()
    };
    push(out, json!({ "type": "content_block_start", "index": index, "content_block": begun }));
    for delta in deltas {
        push(out, json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    push(out, json!({ "type": "content_block_stop", "index": index }));
}

fn push(out: &mut Vec<Event>, data: Value) {
    let name = data["type"].as_str().unwrap_or_default().to_owned();
    out.push(Event { name, data });
}

/// An error as this provider words it.
pub fn error(fault: &Fault, message: &str) -> Value {
    let kind = match fault.status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}
