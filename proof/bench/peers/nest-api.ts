import "reflect-metadata";
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Module,
  NotFoundException,
  Param,
  Post,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { ClientProxy } from "@nestjs/microservices";
import { createPool } from "mysql2/promise";
import { GCPubSubClient } from "nestjs-google-pubsub-microservice";
import { lastValueFrom } from "rxjs";

// As the transport's README has it. `emit` is awaited, so that the answer comes after publishing.
const { MYSQL_URL = "", PUBSUB_TOPIC = "", PORT } = process.env;
const projectId = process.env.GOOGLE_CLOUD_PROJECT ?? "";
const pool = createPool(MYSQL_URL);

@Controller("api/data")
class TemasController {
  @Inject("PUBSUB") private readonly client!: ClientProxy;

  @Post()
  @HttpCode(202)
  async create(@Body() tema: unknown) {
    await lastValueFrom(this.client.emit("tema.created", tema), { defaultValue: undefined });
    return { status: "accepted" };
  }

  @Get(":id")
  async find(@Param("id") id: string) {
    const [rows] = await pool.execute("SELECT * FROM temas WHERE id = ?", [id]);
    const [tema] = rows as unknown[];
    if (!tema) throw new NotFoundException();
    return tema;
  }
}

const client = new GCPubSubClient({ topic: PUBSUB_TOPIC, init: false, client: { projectId } });

@Module({ controllers: [TemasController], providers: [{ provide: "PUBSUB", useValue: client }] })
class ApplicationModule {}

const app = await NestFactory.create(ApplicationModule, { logger: ["error"] });
await app.listen(Number(PORT), "127.0.0.1");
console.log("started");
