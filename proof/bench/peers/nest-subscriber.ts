import "reflect-metadata";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { EventPattern, type MicroserviceOptions, Payload } from "@nestjs/microservices";
import { createPool } from "mysql2/promise";
import { GCPubSubServer } from "nestjs-google-pubsub-microservice";

// As the transport's README has it, with its default of acknowledging after the handler.
const { MYSQL_URL = "", PUBSUB_TOPIC = "", PUBSUB_SUBSCRIPTION = "" } = process.env;
const projectId = process.env.GOOGLE_CLOUD_PROJECT ?? "";
const pool = createPool(MYSQL_URL);

@Controller()
class TemasController {
  @EventPattern("tema.created")
  async settle(@Payload() tema: { nombre: string }) {
    await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [tema.nombre]);
  }
}

@Module({ controllers: [TemasController] })
class ApplicationModule {}

const app = await NestFactory.createMicroservice<MicroserviceOptions>(ApplicationModule, {
  strategy: new GCPubSubServer({
    topic: PUBSUB_TOPIC,
    subscription: PUBSUB_SUBSCRIPTION,
    init: false,
    client: { projectId },
  }),
  logger: ["error"],
});
await app.listen();
console.log("started");
