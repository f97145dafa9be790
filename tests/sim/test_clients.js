// The simulator seen by the AWS SDK for JavaScript v3: a second judge beside botocore, and the one
// that speaks SQS's JSON protocol. tests/node/install.sh puts the SDK where NODE_PATH points.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { after, before, beforeEach, test } = require('node:test');

const { SESv2 } = require('@aws-sdk/client-sesv2');
const { SQS } = require('@aws-sdk/client-sqs');
const { SNS } = require('@aws-sdk/client-sns');
const { STS } = require('@aws-sdk/client-sts');
const { S3 } = require('@aws-sdk/client-s3');

const REGION = 'eu-west-1';
const KEY = 'AKIDEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const program = path.join(process.env.SUPSYNC_BIN || 'build/bin', 'supsync-sim');

let simulator, errors = '', endpoint, queue;

before(async () => {
  simulator = spawn(program, ['--listen', '127.0.0.1:0', '--regions', REGION, '--verify-signatures',
    '--import-delay', '50'], { stdio: ['ignore', 'pipe', 'pipe'] });
  simulator.stderr.on('data', (data) => { errors += data; });
  const line = await new Promise((resolve, reject) => {
    simulator.stdout.once('data', (data) => resolve(String(data)));
    simulator.once('exit', () => reject(new Error(`did not start: ${errors}`)));
  });
  endpoint = 'http://' + /listening on (\S+)/.exec(line)[1];
  queue = endpoint + '/000000000000/ses-events';
});

after(async () => {
  const ended = new Promise((resolve) => simulator.once('exit', resolve));
  simulator.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.equal(errors, '');
});

beforeEach(async () => {
  await control('DELETE', 'suppression');
  await control('DELETE', 'faults');
  await client(SQS).purgeQueue({ QueueUrl: queue });
  await control('DELETE', 'calls');
});

function client(type, more = {}) {
  return new type({
    region: REGION, endpoint, maxAttempts: 1, forcePathStyle: true,
    credentials: { accessKeyId: KEY, secretAccessKey: SECRET }, ...more,
  });
}

async function control(method, what, body) {
  const answer = await fetch(`${endpoint}/_sim/${REGION}/${what}`,
    { method, body: body === undefined ? undefined : JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

async function refused(name, promise, status) {
  const error = await promise.then(() => assert.fail(`expected ${name}`), (e) => e);
  assert.equal(error.name, name, error.stack);
  if (status) assert.equal(error.$metadata.httpStatusCode, status);
  return error;
}

test('suppression list', async () => {
  const ses = client(SESv2);
  const odd = ['user+tag@example.com', '100%@example.com', "o'brien!*()@example.com",
    '"quoted local"@example.com', 'Ünï@example.com', 'a&b=c?d#e@example.com'];
  for (const EmailAddress of odd) {
    await ses.putSuppressedDestination({ EmailAddress, Reason: 'COMPLAINT' });
    const got = await ses.getSuppressedDestination({ EmailAddress });
    assert.equal(got.SuppressedDestination.EmailAddress, EmailAddress);
    assert.equal(got.SuppressedDestination.Reason, 'COMPLAINT');
    assert.ok(Math.abs(got.SuppressedDestination.LastUpdateTime - Date.now()) < 30000);
    await ses.deleteSuppressedDestination({ EmailAddress });
    await refused('NotFoundException', ses.getSuppressedDestination({ EmailAddress }), 404);
  }
  await ses.putSuppressedDestination({ EmailAddress: ' Foo@Example.COM', Reason: 'BOUNCE' });
  await refused('NotFoundException', ses.getSuppressedDestination({ EmailAddress: 'foo@example.com' }));
  await ses.putSuppressedDestination({ EmailAddress: 'a/b@example.com', Reason: 'BOUNCE' });
  await refused('BadRequestException',
    ses.deleteSuppressedDestination({ EmailAddress: 'a/b@example.com' }), 400);
  await refused('BadRequestException',
    ses.putSuppressedDestination({ EmailAddress: 'x@example.com', Reason: 'NO' }));
});

test('pages', async () => {
  const all = Array.from({ length: 45 }, (_, i) => `u${i}@example.com`);
  await control('PUT', 'suppression', all);
  const ses = client(SESv2), found = [];
  let NextToken;
  do {
    const page = await ses.listSuppressedDestinations(
      { PageSize: 10, NextToken, Reasons: ['BOUNCE', 'COMPLAINT'], StartDate: new Date(0) });
    found.push(...page.SuppressedDestinationSummaries.map((e) => e.EmailAddress));
    NextToken = page.NextToken;
  } while (NextToken);
  assert.deepEqual(found.sort(), all.sort());
  await refused('InvalidNextTokenException', ses.listSuppressedDestinations({ NextToken: 'x' }));
});

test('account', async () => {
  const ses = client(SESv2);
  await ses.putAccountSuppressionAttributes({ SuppressedReasons: ['BOUNCE', 'COMPLAINT'] });
  const account = await ses.getAccount();
  assert.deepEqual(account.SuppressionAttributes.SuppressedReasons, ['BOUNCE', 'COMPLAINT']);
  assert.equal(account.ProductionAccessEnabled, true);
});

test('throttling and faults', async () => {
  await control('POST', 'faults', [{ operation: 'GetAccount', count: 2, throttle: true }]);
  await client(SESv2, { maxAttempts: 4 }).getAccount();
  assert.deepEqual(await control('GET', 'calls'), { GetAccount: 3 });
  await control('POST', 'faults', [{ operation: 'GetAccount', throttle: true }]);
  await refused('TooManyRequestsException', client(SESv2).getAccount(), 429);
  await control('POST', 'faults', [{ operation: 'GetAccount', reset: true }]);
  const reset = await client(SESv2).getAccount().catch((e) => e);
  assert.equal(reset.code, 'ECONNRESET');
  for (const rule of [{ truncate: true }, { invalid_json: true }]) {
    await control('POST', 'faults', [{ operation: 'GetAccount', ...rule }]);
    await assert.rejects(client(SESv2).getAccount());
  }
});

test('signatures', async () => {
  const wrong = { credentials: { accessKeyId: KEY, secretAccessKey: 'wrong' } };
  await refused('InvalidSignatureException', client(SESv2, wrong).getAccount(), 403);
  await refused('SignatureDoesNotMatch', client(SQS, wrong).listQueues({}), 403);
  await refused('SignatureDoesNotMatch', client(SNS, wrong).listTopics({}), 403);
  await refused('SignatureDoesNotMatch', client(S3, wrong).listBuckets({}), 403);
  // Tampered with after signing.
  const ses = client(SESv2);
  ses.middlewareStack.add((next) => (args) => {
    args.request.body = new TextEncoder().encode(
      new TextDecoder().decode(args.request.body).replace('a@', 'b@'));
    return next(args);
  }, { step: 'finalizeRequest', priority: 'low', name: 'tamper' });
  await refused('InvalidSignatureException',
    ses.putSuppressedDestination({ EmailAddress: 'a@example.com', Reason: 'BOUNCE' }), 403);
  // An hour late, by a client that does not correct its clock.
  const late = client(SESv2, { systemClockOffset: -3600 * 1000 });
  await refused('InvalidSignatureException', late.getAccount(), 403);
});

test('queue', async () => {
  const sqs = client(SQS);
  assert.equal((await sqs.getQueueUrl({ QueueName: 'ses-events' })).QueueUrl, queue);
  const empty = await sqs.receiveMessage({ QueueUrl: queue });
  assert.equal(empty.Messages, undefined);
  const waiting = sqs.receiveMessage({
    QueueUrl: queue, WaitTimeSeconds: 20, MaxNumberOfMessages: 10, VisibilityTimeout: 1,
    MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'],
  });
  await sqs.sendMessage({ QueueUrl: queue, MessageBody: 'ü <body>' });
  const [first] = (await waiting).Messages; // the SDK checks MD5OfBody
  assert.equal(first.Body, 'ü <body>');
  assert.equal(first.Attributes.ApproximateReceiveCount, '1');
  const [second] = (await sqs.receiveMessage({
    QueueUrl: queue, WaitTimeSeconds: 5, MessageSystemAttributeNames: ['All'] })).Messages;
  assert.equal(second.Attributes.ApproximateReceiveCount, '2');
  await sqs.deleteMessage({ QueueUrl: queue, ReceiptHandle: first.ReceiptHandle });
  assert.equal((await control('GET', 'queues'))['ses-events'].in_flight, 1);
  const batch = await sqs.deleteMessageBatch({
    QueueUrl: queue,
    Entries: [{ Id: 'a', ReceiptHandle: second.ReceiptHandle }, { Id: 'b', ReceiptHandle: 'x' }],
  });
  assert.deepEqual(batch.Successful, [{ Id: 'a' }]);
  assert.equal(batch.Failed[0].Code, 'ReceiptHandleIsInvalid');
  assert.equal((await control('GET', 'queues'))['ses-events'].in_flight, 0);
});

test('queue errors', async () => {
  const sqs = client(SQS);
  const error = await refused('QueueDoesNotExist',
    sqs.receiveMessage({ QueueUrl: endpoint + '/000000000000/none' }), 400);
  assert.ok(error.constructor.name === 'QueueDoesNotExist', 'the modelled exception');
  await refused('EmptyBatchRequest', sqs.deleteMessageBatch({ QueueUrl: queue, Entries: [] }));
  await refused('ReceiptHandleIsInvalid',
    sqs.changeMessageVisibility({ QueueUrl: queue, ReceiptHandle: 'x', VisibilityTimeout: 1 }));
  // What is on the wire: both names of the error.
  const answer = await new Promise((resolve) => {
    sqs.middlewareStack.add((next) => async (args) => {
      const result = await next(args).catch((e) => e);
      resolve(result.$response || result.response);
      throw result;
    }, { step: 'deserialize', priority: 'low', name: 'peek' });
    sqs.getQueueUrl({ QueueName: 'none' }).catch(() => {});
  });
  assert.equal(answer.headers['x-amzn-query-error'],
    'AWS.SimpleQueueService.NonExistentQueue;Sender');
});

test('sending', async () => {
  const { MessageId } = await client(SESv2).sendEmail({
    FromEmailAddress: 's@example.com', Destination: { ToAddresses: ['Bounce@Example.com'] },
    Content: { Simple: { Subject: { Data: 's' }, Body: { Text: { Data: 't' } } } },
  });
  const { Messages } = await client(SQS).receiveMessage({ QueueUrl: queue, MaxNumberOfMessages: 10 });
  const events = Messages.map((m) => JSON.parse(JSON.parse(m.Body).Message));
  assert.deepEqual(events.map((e) => e.eventType), ['Send', 'Bounce']);
  assert.equal(events[1].mail.messageId, MessageId);
  const list = await control('GET', 'suppression');
  assert.deepEqual(list.map((e) => e.EmailAddress), ['Bounce@example.com']);
});

test('topics', async () => {
  const sns = client(SNS);
  const { TopicArn } = await sns.createTopic({ Name: 'news' });
  await sns.subscribe({ TopicArn, Protocol: 'sqs', Endpoint: 'arn:aws:sqs:eu-west-1:000000000000:ses-events' });
  const { MessageId } = await sns.publish({ TopicArn, Message: 'm', Subject: 's' });
  const { Messages } = await client(SQS).receiveMessage({ QueueUrl: queue, WaitTimeSeconds: 5 });
  assert.equal(JSON.parse(Messages[0].Body).MessageId, MessageId);
  await refused('NotFoundException', sns.publish({ TopicArn: TopicArn + 'x', Message: 'm' }), 404);
});

test('storage and import job', async () => {
  const s3 = client(S3), ses = client(SESv2);
  const Bucket = 'supsync-eu-west-1', Key = 'dir/im port+ü.json';
  const rows = ['{"emailAddress":"a@example.com","reason":"BOUNCE"}', 'broken'];
  await s3.putObject({ Bucket, Key, Body: rows.join('\n') });
  const got = await s3.getObject({ Bucket, Key });
  assert.equal(await got.Body.transformToString(), rows.join('\n'));
  const listed = await s3.listObjectsV2({ Bucket, Prefix: 'dir/' });
  assert.deepEqual(listed.Contents.map((o) => o.Key), [Key]);
  const { JobId } = await ses.createImportJob({
    ImportDestination: { SuppressionListDestination: { SuppressionListImportAction: 'PUT' } },
    ImportDataSource: { S3Url: `s3://${Bucket}/${Key}`, DataFormat: 'JSON' },
  });
  const deadline = Date.now() + 60000;
  let job;
  do {
    job = await ses.getImportJob({ JobId });
    assert.ok(Date.now() < deadline, 'the job ends');
  } while (job.JobStatus !== 'COMPLETED');
  assert.equal(job.FailedRecordsCount, 1);
  const failed = await fetch(job.FailureInfo.FailedRecordsS3Url);
  assert.equal(await failed.text(), 'broken\n');
  assert.ok((await ses.listImportJobs({})).ImportJobs.some((j) => j.JobId === JobId));
  await s3.deleteObject({ Bucket, Key });
  await refused('NoSuchKey', s3.getObject({ Bucket, Key }), 404);
});

test('web identity', async () => {
  const sts = new STS({ region: REGION, endpoint, maxAttempts: 1, credentials: { accessKeyId: '', secretAccessKey: '' } });
  const answer = await sts.assumeRoleWithWebIdentity({
    RoleArn: 'arn:aws:iam::000000000000:role/agent', RoleSessionName: 'session',
    WebIdentityToken: 'token',
  });
  const c = answer.Credentials;
  assert.ok(c.Expiration > new Date());
  const credentials = { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken };
  await client(SESv2, { credentials }).getAccount();
  const identity = await client(STS, { credentials }).getCallerIdentity({});
  assert.equal(identity.Arn, answer.AssumedRoleUser.Arn);
  await refused('InvalidIdentityTokenException', sts.assumeRoleWithWebIdentity({
    RoleArn: 'arn:aws:iam::000000000000:role/agent', RoleSessionName: 'session',
    WebIdentityToken: 'invalid',
  }), 400);
});

// Members that Debian's botocore does not know yet: tenants, scopes, validation attributes.

const BOTH = ['BOUNCE', 'COMPLAINT'];
const VALIDATION = {
  ConditionThreshold: {
    ConditionThresholdEnabled: 'ENABLED',
    OverallConfidenceThreshold: { ConfidenceVerdictThreshold: 'HIGH' },
  },
};

async function attributes(ses) {
  return (await ses.getAccount({})).SuppressionAttributes;
}

test('account attributes: what is left out is cleared', async () => {
  const ses = client(SESv2);
  assert.deepEqual(await attributes(ses), { SuppressedReasons: BOTH });
  await ses.putAccountSuppressionAttributes({ SuppressedReasons: BOTH, ValidationAttributes: VALIDATION });
  assert.deepEqual(await attributes(ses), { SuppressedReasons: BOTH, ValidationAttributes: VALIDATION });
  await ses.putAccountSuppressionAttributes({ SuppressedReasons: ['BOUNCE'] });
  assert.deepEqual(await attributes(ses), { SuppressedReasons: ['BOUNCE'] });
  await refused('BadRequestException', ses.putAccountSuppressionAttributes({
    ValidationAttributes: { ConditionThreshold: { ConditionThresholdEnabled: 'PERHAPS' } } }), 400);
  await ses.putAccountSuppressionAttributes({});
  assert.deepEqual(await attributes(ses), { SuppressedReasons: [] });
  await ses.putAccountSuppressionAttributes({ SuppressedReasons: BOTH });
});

test('configuration sets: scope, validation, pages', async () => {
  const ses = client(SESv2);
  const ConfigurationSetName = 'scoped';
  const options = async () => (await ses.getConfigurationSet({ ConfigurationSetName })).SuppressionOptions;
  await ses.createConfigurationSet({ ConfigurationSetName });
  assert.equal(await options(), undefined);
  const wanted = { SuppressedReasons: BOTH, SuppressionScope: 'TENANT', ValidationOptions: VALIDATION };
  await ses.putConfigurationSetSuppressionOptions({ ConfigurationSetName, ...wanted });
  assert.deepEqual(await options(), wanted);
  await refused('BadRequestException', ses.putConfigurationSetSuppressionOptions(
    { ConfigurationSetName, SuppressionScope: 'REGION' }), 400);
  await ses.createConfigurationSet({ ConfigurationSetName: 'second' });
  const first = await ses.listConfigurationSets({ PageSize: 1 });
  assert.deepEqual(first.ConfigurationSets, ['scoped']);
  const rest = await ses.listConfigurationSets({ PageSize: 1, NextToken: first.NextToken });
  assert.deepEqual(rest.ConfigurationSets, ['second']);
  assert.equal(rest.NextToken, undefined);
  for (const name of ['scoped', 'second']) await ses.deleteConfigurationSet({ ConfigurationSetName: name });
});

test('tenants', async () => {
  const ses = client(SESv2);
  await ses.createTenant({ TenantName: 'plain', Tags: [{ Key: 'k', Value: 'v' }] });
  const own = { SuppressedReasons: BOTH, SuppressionScope: 'TENANT' };
  const made = await ses.createTenant({ TenantName: 'own', SuppressionAttributes: own });
  assert.match(made.TenantArn, /:tenant\/own\/tn-/);
  await refused('AlreadyExistsException', ses.createTenant({ TenantName: 'own' }), 400);
  await refused('BadRequestException', ses.createTenant({ TenantName: 'no spaces' }), 400);
  const { Tenant } = await ses.getTenant({ TenantName: 'plain' });
  assert.equal(Tenant.SuppressionAttributes, undefined);
  assert.deepEqual(Tenant.Tags, [{ Key: 'k', Value: 'v' }]);
  assert.ok(Math.abs(Tenant.CreatedTimestamp - Date.now()) < 30000);
  const first = await ses.listTenants({ PageSize: 1 });
  assert.deepEqual(first.Tenants.map((t) => t.TenantName), ['plain']);
  const rest = await ses.listTenants({ PageSize: 1, NextToken: first.NextToken });
  assert.deepEqual(rest.Tenants.map((t) => t.TenantName), ['own']);
  assert.equal(rest.NextToken, undefined);
  // Scope and reasons come together, or not at all.
  for (const half of [{ SuppressedReasons: BOTH }, { SuppressionScope: 'TENANT' }])
    await refused('BadRequestException',
      ses.putTenantSuppressionAttributes({ TenantName: 'plain', ...half }), 400);
  const none = { SuppressedReasons: [], SuppressionScope: 'ACCOUNT' };
  await ses.putTenantSuppressionAttributes({ TenantName: 'plain', ...none });
  assert.deepEqual((await ses.getTenant({ TenantName: 'plain' })).Tenant.SuppressionAttributes, none);
  await ses.putTenantSuppressionAttributes({ TenantName: 'plain' });
  assert.equal((await ses.getTenant({ TenantName: 'plain' })).Tenant.SuppressionAttributes, undefined);
  for (const TenantName of ['plain', 'own']) await ses.deleteTenant({ TenantName });
  for (const [operation, more] of [['getTenant'], ['deleteTenant'], ['putTenantSuppressionAttributes', none],
    ['getSuppressedDestination', { EmailAddress: 'a@example.com' }]])
    await refused('NotFoundException', ses[operation]({ TenantName: 'own', ...more }), 404);
});

async function listed(ses, TenantName) {
  const page = await ses.listSuppressedDestinations({ TenantName });
  return page.SuppressedDestinationSummaries.map((e) => e.EmailAddress);
}

test("a tenant's list is its own, and goes with it", async () => {
  const ses = client(SESv2);
  await ses.createTenant({ TenantName: 't' });
  await ses.putSuppressedDestination({ EmailAddress: 'A@example.com', Reason: 'BOUNCE', TenantName: 't' });
  await ses.putSuppressedDestination({ EmailAddress: 'b@example.com', Reason: 'BOUNCE' });
  assert.deepEqual(await listed(ses, 't'), ['A@example.com']);
  assert.deepEqual(await listed(ses), ['b@example.com']);
  const entry = await ses.getSuppressedDestination({ EmailAddress: 'A@example.com', TenantName: 't' });
  assert.equal(entry.SuppressedDestination.Reason, 'BOUNCE');
  await refused('NotFoundException', ses.deleteSuppressedDestination({ EmailAddress: 'A@example.com' }), 404);
  await ses.deleteTenant({ TenantName: 't' });
  await ses.createTenant({ TenantName: 't' });
  assert.deepEqual(await listed(ses, 't'), []);
  await ses.putSuppressedDestination({ EmailAddress: 'c@example.com', Reason: 'BOUNCE', TenantName: 't' });
  await ses.deleteSuppressedDestination({ EmailAddress: 'c@example.com', TenantName: 't' });
  assert.deepEqual(await listed(ses, 't'), []);
  await ses.deleteTenant({ TenantName: 't' });
});

// What becomes of one mail: delivered, or blocked by which list.
async function fate(ses, to, more = {}) {
  await ses.sendEmail({
    FromEmailAddress: 's@example.com', Destination: { ToAddresses: [to] },
    Content: { Simple: { Subject: { Data: 's' }, Body: { Text: { Data: 'b' } } } }, ...more,
  });
  const sqs = client(SQS);
  let last;
  for (;;) {
    const { Messages } = await sqs.receiveMessage({ QueueUrl: queue, MaxNumberOfMessages: 10 });
    if (!Messages) return last;
    for (const message of Messages) {
      await sqs.deleteMessage({ QueueUrl: queue, ReceiptHandle: message.ReceiptHandle });
      const event = JSON.parse(JSON.parse(message.Body).Message);
      assert.deepEqual(event.mail.tags['ses:tenant-name'], more.TenantName && [more.TenantName]);
      if (event.eventType === 'Delivery') last = 'delivered';
      if (event.eventType === 'Bounce') last = event.bounce.bounceSubType;
      if (event.eventType === 'Complaint') last = event.complaint.complaintSubType || 'complained';
    }
  }
}

test('which list and which reasons a mail is judged by', async () => {
  const ses = client(SESv2);
  await ses.putSuppressedDestination({ EmailAddress: 'bad@example.com', Reason: 'BOUNCE' });
  const scopes = ['ACCOUNT', 'TENANT'];
  for (const SuppressionScope of scopes) {
    for (const SuppressedReasons of [BOTH, ['COMPLAINT'], []]) {
      const name = `${SuppressionScope}-${SuppressedReasons.length}`;
      await ses.createTenant({ TenantName: name, SuppressionAttributes: { SuppressionScope, SuppressedReasons } });
      await ses.createConfigurationSet({ ConfigurationSetName: name,
        SuppressionOptions: { SuppressionScope, SuppressedReasons } });
    }
  }
  const echo = 'OnAccountSuppressionList', through = 'delivered';
  const expected = [
    // set, tenant, what the account's entry of reason BOUNCE does
    [undefined, undefined, echo],
    [undefined, 'ACCOUNT-2', echo], [undefined, 'ACCOUNT-1', through], [undefined, 'ACCOUNT-0', through],
    [undefined, 'TENANT-2', through],
    ['ACCOUNT-2', undefined, echo], ['ACCOUNT-1', undefined, through], ['ACCOUNT-0', undefined, through],
    ['TENANT-2', undefined, through],
    // The set's word goes before the tenant's.
    ['ACCOUNT-2', 'TENANT-0', echo], ['ACCOUNT-2', 'ACCOUNT-0', echo],
    ['TENANT-2', 'ACCOUNT-2', through], ['ACCOUNT-0', 'ACCOUNT-2', through],
  ];
  for (const [ConfigurationSetName, TenantName, what] of expected)
    assert.equal(await fate(ses, 'bad@example.com', { ConfigurationSetName, TenantName }), what,
      `${ConfigurationSetName} ${TenantName}`);
  // An entry of the tenant's own list blocks its mail only.
  const TenantName = 'TENANT-2';
  await ses.putSuppressedDestination({ EmailAddress: 'own@example.com', Reason: 'BOUNCE', TenantName });
  await ses.putSuppressedDestination({ EmailAddress: 'not@example.com', Reason: 'COMPLAINT', TenantName });
  assert.equal(await fate(ses, 'own@example.com', { TenantName }), 'OnTenantSuppressionList');
  assert.equal(await fate(ses, 'not@example.com', { TenantName }), 'OnTenantSuppressionList');
  assert.equal(await fate(ses, 'own@example.com'), through);
  // What SES adds by itself goes to the list that the mail was judged by.
  await fate(ses, 'bounce1@example.com', { TenantName });
  await fate(ses, 'bounce2@example.com', { TenantName: 'ACCOUNT-2' });
  await fate(ses, 'bounce3@example.com', { TenantName: 'TENANT-0' });
  assert.deepEqual((await listed(ses, TenantName)).sort(),
    ['bounce1@example.com', 'not@example.com', 'own@example.com']);
  assert.deepEqual((await listed(ses)).sort(), ['bad@example.com', 'bounce2@example.com']);
  await refused('NotFoundException', fate(ses, 'a@example.com', { TenantName: 'nobody' }), 404);
});
