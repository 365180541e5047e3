"""A newsroom of four agents: what a multi-agent program looks like with driftline in it.

A planner plans an article and hands out the work, a researcher looks things up, a writer writes, a reviewer checks and
publishes. Each is a process of its own. They talk through a queue (`post.py`), share a versioned notebook
(`notebook.py`), use tools that time out now and then (`tools.py`), and think with a model that follows a script
(`model.py`), so that a seed gives the same articles every time.

Read `agent.py` and `writer.py` first: between them they use most of what driftline offers.

    python -m newsroom --seed 1 --runs 3                        # three articles, everything goes well
    python -m newsroom --seed 1 --runs 0 --faults stale_plan    # one article, by a writer with an old plan
    python -m newsroom --help

Spans go to an OTLP/HTTP receiver (`--endpoint`), such as `driftline up` starts. Without one the newsroom works all the
same. `mistakes/` holds what can go wrong, one small subclass each: the planted faults of `driftline demo`.
"""
