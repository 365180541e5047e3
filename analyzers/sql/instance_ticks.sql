-- Every tick of the logical clocks of some processes, whatever run it belongs to. {instances}: service.instance.id.
-- Not narrowed to the scope: a tick outside of it still proves that nothing was lost there.
SELECT instance, arrayJoin(arrayFilter(t -> isNotNull(t), [seq, seq_end])) AS tick
FROM (SELECT instance, seq, seq_end FROM steps FINAL WHERE instance IN (SELECT arrayJoin({instances:Array(String)})))
