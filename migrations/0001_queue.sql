-- The durable queue. Its tables know nothing of the business, so they are not bound to an org.
CREATE SCHEMA queue;
