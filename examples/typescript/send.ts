import { skycoreClient } from "./skycore.js";

const skycore = skycoreClient(process.env.SKYCORE_API_URL!);
const { data, error } = await skycore.POST("/messages", {
  params: { header: { "Idempotency-Key": "order-4713" } },
  body: { action: "sendSMS", to: "+1 774-319-9144", from: "60856", text: "Hello", client_reference: "order-4713" },
});
if (error) console.error(error.code, error.detail);
else console.log(data.message_id, data.status);
