-- The values runs can be filtered by. Expected: one row.
SELECT
    arraySlice(arraySort(groupUniqArray(workflow)), 1, 200) AS workflows,
    arraySlice(arraySort(groupUniqArrayArray(agents)), 1, 200) AS agents,
    count() AS runs
FROM runs FINAL
