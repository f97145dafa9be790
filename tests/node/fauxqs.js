// Starts fauxqs, an SQS (SNS, S3) emulator by others, on a free port of the loopback interface; its
// own command listens on every address. Prints "fauxqs: listening on 127.0.0.1:PORT"; ends on SIGTERM.
'use strict';

async function main() {
  const { buildApp } = await import('fauxqs');
  const app = buildApp({ logger: false });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      // Long polls would keep the server open for up to 20 s.
      app.server.closeAllConnections();
      app.close().then(() => process.exit(0));
    });
  }
  await app.listen({ host: '127.0.0.1', port: 0 });
  console.log(`fauxqs: listening on 127.0.0.1:${app.server.address().port}`);
}

main().catch((error) => {
  console.error(`fauxqs: ${error.message}`);
  process.exit(1);
});
