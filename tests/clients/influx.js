// InfluxDB's JavaScript client against fluxmill: writes, queries, errors. Arguments: URL, token.
const assert = require('node:assert')
const {InfluxDB, Point, HttpError} = require('@influxdata/influxdb-client')
const {BucketsAPI, OrgsAPI} = require('@influxdata/influxdb-client-apis')

async function main(url, token) {
  const influx = new InfluxDB({url, token})
  const orgs = await new OrgsAPI(influx).getOrgs({org: 'fluxmill'})
  const orgID = orgs.orgs[0].id
  const buckets = new BucketsAPI(influx)
  const made = await buckets.postBuckets({body: {orgID, name: 'js', retentionRules: []}})
  assert.equal((await buckets.getBuckets({name: 'js'})).buckets[0].id, made.id)

  const writes = influx.getWriteApi('fluxmill', 'js', 'ns', {maxRetries: 0})
  for (let n = 0; n < 100; n++) {
    const point = new Point('press').tag('machine', 'p' + (n % 4)).floatField('bar', n + 0.5).intField('n', n)
    writes.writePoint(point.timestamp(String(1714564800000000000n + BigInt(n))))
  }
  await writes.close()

  const query = influx.getQueryApi('fluxmill')
  const rows = await query.collectRows(
    'from(bucket: "js") |> range(start: 2024-05-01T00:00:00Z, stop: 2024-05-02T00:00:00Z)' +
      ' |> filter(fn: (r) => r._field == "bar")'
  )
  assert.equal(rows.length, 100)
  assert.equal(rows.reduce((sum, row) => sum + row._value, 0), 5000)
  assert.deepEqual([...new Set(rows.map(row => row.table))], [0, 1, 2, 3])

  await assert.rejects(query.collectRows('from(bucket: "none") |> range(start: -1h)'), error => {
    assert(error instanceof HttpError)
    assert.equal(error.statusCode, 404)
    assert.match(error.message, /could not find bucket/)
    return true
  })
}

main(...process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
