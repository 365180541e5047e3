-- Who every span of some traces says it belongs to, to look up the nearest ancestor's word. {traces}: trace ids. Narrow.
SELECT trace_id, span_id, parent_id, agent FROM steps FINAL WHERE trace_id IN {traces:Array(String)}
