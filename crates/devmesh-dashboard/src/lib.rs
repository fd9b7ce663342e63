//! A web page over WebSocket on the same fold.
