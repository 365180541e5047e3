// node send.mjs PROTOCOL ENDPOINT COMPRESSION: two spans and a metric by the OpenTelemetry SDK's own exporters.
// Prints, as one line of JSON, what the SDK held in its hands and whatever the exporters complained of.
import { diag, DiagLogLevel, SpanKind, SpanStatusCode, trace, context } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, endpoint, compression] = process.argv.slice(2);
const complaints = [];
const listen = (level) => (...words) => complaints.push(`${level}: ${words.map(String).join(" ")}`);
const quiet = () => {};
diag.setLogger({ error: listen("error"), warn: listen("warn"), info: quiet, debug: quiet, verbose: quiet }, DiagLogLevel.WARN);

const spans = [];
const keep = { onStart: quiet, onEnd: (span) => spans.push(span), shutdown: async () => {}, forceFlush: async () => {} };
const Exporter = { json: JsonExporter, protobuf: ProtobufExporter, grpc: GrpcExporter }[protocol];
const url = protocol === "grpc" ? endpoint : `${endpoint}/v1/traces`;
const resource = resourceFromAttributes({ "service.name": "shop", "service.version": "1.2", "process.pid": 77 });
const provider = new BasicTracerProvider({
  resource,
  spanLimits: { attributeCountLimit: 16, eventCountLimit: 2, linkCountLimit: 2 },
  spanProcessors: [keep, new BatchSpanProcessor(new Exporter({ url, compression }))],
});

const tracer = provider.getTracer("my.scope", "3.4");
const outer = tracer.startSpan("outer", { kind: SpanKind.SERVER, attributes: { empty: "" } });
const link = { context: outer.spanContext(), attributes: { why: "test", n: 3 } };
const inner = tracer.startSpan("inner", { kind: SpanKind.CLIENT, links: [link, link, link] }, trace.setSpan(context.active(), outer));
inner.setAttributes({
  text: "é 漢 \u{1f600} \"quoted\" \\ \n", yes: true, no: false, whole: 3, negative: -5, half: 0.5, big: Number.MAX_SAFE_INTEGER,
  tiny: 5e-324, huge: 1e300, texts: ["a", "b"], numbers: [1, 2.5], flags: [true, false], none: [],
});
for (let number = 0; number < 10; number++) inner.setAttribute(`more.${number}`, number);
for (const name of ["dropped", "second", "third"]) inner.addEvent(name, { of: name, n: 1.25 });
inner.setStatus({ code: SpanStatusCode.ERROR, message: "broken: ü" });
inner.end();
outer.setStatus({ code: SpanStatusCode.OK });
outer.end();
await provider.forceFlush();
await provider.shutdown();

if (protocol === "json") {
  const exporter = new OTLPMetricExporter({ url: `${endpoint}/v1/metrics`, compression });
  const meters = new MeterProvider({ resource, readers: [new PeriodicExportingMetricReader({ exporter })] });
  meters.getMeter("my.scope").createCounter("sold").add(1);
  await meters.forceFlush();
  await meters.shutdown();
}

const nanoseconds = ([seconds, rest]) => `${BigInt(seconds) * 1000000000n + BigInt(rest)}`;
const shown = spans.map((span) => ({
  name: span.name, kind: span.kind, ...span.spanContext(), parentSpanId: span.parentSpanContext?.spanId ?? "",
  start: nanoseconds(span.startTime), end: nanoseconds(span.endTime), status: span.status, attributes: span.attributes,
  events: span.events.map((event) => ({ name: event.name, time: nanoseconds(event.time), attributes: event.attributes })),
  links: span.links.map((each) => ({ ...each.context, attributes: each.attributes ?? {} })),
  dropped: [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
  resource: span.resource.attributes, scope: [span.instrumentationScope.name, span.instrumentationScope.version],
}));
console.log(JSON.stringify({ spans: shown, complaints }));
